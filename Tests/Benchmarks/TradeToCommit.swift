import Glibc
import ServiceKit

/// The program `consumer` at an even pace: how long a trade takes from `to_kafka` to its commit.
///
/// The limit is the least that a durable row can take: one row a transaction, on one connection, with nothing else at work.
@MainActor
struct TradeToCommit {
    /// From one trade to the next: 1,000 a second.
    private static let pause = Duration.milliseconds(1)
    /// Of how many transactions the limit is the median.
    private static let singleCommits = 500

    let workload: Workload
    let broker: Broker
    let database: Database

    static let name = "trade to commit"
    static let limitName = "INSERT and COMMIT of a single row, one after the other"

    /// Up to 20 s of trades.
    private var trades: Int { min(workload.trades, 20_000) }

    /// A broker's first ten seconds are slower than all later ones: Java compiles what it does a record.
    func prepare() async throws {
        _ = try await run(trades: min(trades, 12_000), flush: 0)
    }

    func measureLimit() throws -> SingleCommits {
        try database.clear()
        return try database.commitSingleRows(Self.singleCommits)
    }

    /// What Kafka alone takes of it, in milliseconds.
    func measureKafka() throws -> Double {
        let topic = try broker.makeTopic()
        defer { try? broker.delete(topic) }
        return try BareClients.pass(workload, count: min(trades, 5_000), every: Self.pause, through: topic)
    }

    /// Measures the stage, and fails unless exactly the trades that went in came out.
    /// - Parameter flush: what a commit takes from PostgreSQL's stamp, which it makes before it flushes, to its answer; in
    ///   milliseconds.
    func measure(flush: Double) async throws -> Latency { try await run(trades: trades, flush: flush) }

    private func run(trades: Int, flush: Double) async throws -> Latency {
        try database.clear()
        let topic = try broker.makeTopic()
        let consumer = try MeasuredProgram(
            "consumer",
            [
                "--kafka-bootstrap-servers", topic.bootstrapServers, "--trades-topic", topic.name,
                "--consumer-group", topic.name,
            ], database: database.connectionString)
        while try database.position(of: "consumer") == nil {
            try consumer.checkRunning()
            usleep(5_000)
        }
        try PacedTrades.send(workload, count: trades, every: Self.pause, to: topic)
        var watch = Watch(goal: trades)
        while try watch.goesOn(database.position(of: "consumer") ?? 0) { try consumer.checkRunning() }
        try await consumer.stop()
        try database.expect(trades, "SELECT count(*) FROM trade_data_finhub")
        try database.expect(0, "SELECT count(*) FROM rejected_trade")
        try broker.delete(topic)
        let all = try database.milliseconds(("to_kafka", "committed"), [0.5, 0.95, 0.99])
        func median(_ from: String, _ to: String) throws -> Double { try database.milliseconds((from, to), [0.5])[0] }
        return Latency(
            p50: all[0] + flush, p95: all[1] + flush, p99: all[2] + flush,
            toConsumer: try median("to_kafka", "to_consumer"), toDB: try median("to_consumer", "to_db"),
            toCommit: try median("to_db", "committed") + flush)
    }
}

/// Percentiles of one run, in milliseconds.
struct Latency {
    let p50: Double
    let p95: Double
    let p99: Double
    /// Medians of the parts: to the consumer, from there to the database, from there to the commit's answer.
    let toConsumer: Double
    let toDB: Double
    let toCommit: Double
}

extension Latency: CustomStringConvertible {
    var description: String {
        let parts = [p50, toConsumer, toDB, toCommit].map { Report.number($0, places: 2) }
        return "p50 \(parts[0]) ms (to the consumer \(parts[1]), the database \(parts[2]), the commit \(parts[3]))"
    }
}

/// Medians of transactions of one row, in milliseconds.
struct SingleCommits {
    /// From the statement to its answer.
    let time: Double
    /// The part of it behind the moment that PostgreSQL notes as that of the commit.
    let flush: Double
}
