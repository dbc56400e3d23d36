import Foundation
import Kafka
import ServiceKit
import Synchronization
import TradeModel

/// The program `kpi-service` at an even pace: how long a trade takes from `to_kafka` until a query finds it in the rollups.
///
/// The position in the ledger changes with the rollups, in one transaction: it tells which trades a query that comes then finds.
/// It is asked for again and again, so each time is that of the first answer that came with the trade.
@MainActor
struct TradeToKPI {
    /// From one trade to the next: 20,000 a second.
    private nonisolated static let pause = Duration.microseconds(50)
    private static let symbols = 1000

    private let workload: Workload
    private let broker: Broker
    private let database: Database

    static let name = "trade to KPI"

    /// - Parameter trades: of these, up to 20 s are sent.
    init(trades: Int, broker: Broker, database: Database) {
        workload = Workload(trades: min(trades, 400_000), symbols: Self.symbols)
        self.broker = broker
        self.database = database
    }

    /// Times in milliseconds, and the most memory that the program had.
    struct Freshness {
        let p50: Double
        let p95: Double
        let p99: Double
        let peakMegabytes: Double
    }

    /// Measures once, and fails unless exactly the trades that went in came out.
    func measure() async throws -> Freshness {
        try database.clear()
        let topic = try broker.makeTopic(keeping: workload.trades)
        let program = try MeasuredProgram(
            "kpi-service",
            [
                "--kafka-bootstrap-servers", topic.bootstrapServers, "--trades-topic", topic.name, "--kpi-group",
                topic.name,
                "--alerts-topic", "off",
            ], database: database.connectionString)
        while try database.position(of: "kpi-service") == nil {
            try program.checkRunning()
            usleep(5_000)
        }
        let sending = Mutex<Result<Void, any Error>?>(nil)
        let workload = workload
        Thread.detachNewThread {
            let result = Result {
                try PacedTrades.send(workload, count: workload.trades, every: Self.pause, to: topic)
            }
            sending.withLock { $0 = result }
        }
        var samples: [(answered: Timestamp, positions: [Int64])] = []
        var watch = Watch(goal: workload.trades)
        var count = 0
        while try watch.goesOn(count, pause: 5_000) {
            try program.checkRunning()
            try sending.withLock { $0 }?.get()
            let positions = try database.positions(of: "kpi-service", partitions: topic.partitions)
            samples.append((.now(), positions))
            count = Int(positions.reduce(0, +))
        }
        while sending.withLock({ $0 == nil }) { usleep(1_000) }
        try sending.withLock { $0 }?.get()
        let usage = try program.usage()
        try await program.stop()
        for grain in ["1s", "1m", "1h"] {
            try database.expect(workload.trades, "SELECT sum(trades)::bigint FROM trade_rollup_\(grain)")
        }
        let times = try times(of: topic, samples).sorted()
        try broker.delete(topic)
        func share(_ part: Double) -> Double { Double(times[Int(Double(times.count - 1) * part)]) / 1000 }
        return Freshness(p50: share(0.5), p95: share(0.95), p99: share(0.99), peakMegabytes: usage.peakMegabytes)
    }

    /// What each trade of the topic took until the first sample that has it, in microseconds.
    private func times(
        of topic: Topic, _ samples: [(answered: Timestamp, positions: [Int64])]
    ) throws -> [Int64] {
        let consumer = try KafkaConsumer(
            settings: .consumer(bootstrapServers: topic.bootstrapServers, group: "\(topic.name)-times"))
        defer { consumer.close(deadline: .seconds(5)) }
        let places = (0..<Int32(topic.partitions)).map { TopicPartition(topic: topic.name, partition: $0) }
        try consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, 0) }))
        // Offsets of a partition come in order, so the sample that has one is never before that of the one before.
        var next = [Int](repeating: 0, count: topic.partitions)
        var times: [Int64] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while times.count < workload.trades {
            switch consumer.poll(milliseconds: 100) {
            case .record(let record):
                let partition = Int(record.partition)
                while next[partition] < samples.count, samples[next[partition]].positions[partition] <= record.offset {
                    next[partition] += 1
                }
                guard next[partition] < samples.count else { throw BenchError("a trade was never seen in the rollups") }
                let trade = try TradeRecord(json: record.value.bindMemory(to: UInt8.self).span)
                times.append(samples[next[partition]].answered.microseconds - trade.toKafka.microseconds)
            case .failure(let error, _): throw error
            case .rebalance: throw BenchError("nobody asked for a rebalance")
            case .nothing:
                guard ContinuousClock.now < deadline else { throw BenchError("only \(times.count) records came") }
            }
        }
        return times
    }
}
