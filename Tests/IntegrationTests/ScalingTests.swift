import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

/// The same trades, read by one consumer and by several, of which some come and go meanwhile.
@Suite(.timeLimit(.minutes(10))) struct ScalingTests {
    /// One member more than there are partitions stands by.
    @Test(arguments: [2, 3, ScaledRun.partitions, ScaledRun.partitions + 1])
    func `however many consumers there are, the tables are those of one`(consumers: Int) async throws {
        let one = try await ScaledRun.byOne.value
        #expect(one.trades.count == ScaledRun.tradeCount)
        #expect(one.rejected.count == ScaledRun.rejectedCount)
        let several = try await ScaledRun.play(consumers: consumers)
        #expect(several.trades.difference(from: one.trades).isEmpty)
        #expect(several.rejected.difference(from: one.rejected).isEmpty)
    }
}

/// A fixed list of records in four portions, and the consumers that read it.
private struct ScaledRun {
    static let partitions = 5
    private static let sources = ["one", "two", "three"]
    private static let portions = 4
    /// Trades of a source that a portion has in a partition.
    private static let each = 40
    /// As many of them again, that the source sends once more with the next portion.
    private static let resent = 15
    private static let broken = [#"{"s":"AAPL","p":"#, #"{"s":"AAPL","t":1787924136086}"#]

    static let tradeCount = portions * partitions * sources.count * each
    static let rejectedCount = portions * partitions * broken.count

    /// What the consumers have stored, but for when, and for the number of the log.
    struct Tables {
        let trades: [String]
        let rejected: [String]
    }

    static let byOne = Task { try await play(consumers: 1) }

    private let broker: Broker
    private let database: TestDatabase
    private let directory: TemporaryDirectory
    private var members: [RunningProgram] = []

    /// Runs so many consumers, of which the last comes and then another one leaves in mid-run; one alone is replaced.
    static func play(consumers: Int) async throws -> Tables {
        var run = try await ScaledRun()
        return try await run.play(consumers)
    }

    private init() async throws {
        broker = try await Broker(partitions: Self.partitions)
        database = try await TestDatabase()
        directory = try TemporaryDirectory(prefix: "tickstream-scaling")
        // The embedded broker rebalances within the session but a second.
        try "session.timeout.ms=4000\nheartbeat.interval.ms=500\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
    }

    private mutating func play(_ consumers: Int) async throws -> Tables {
        for _ in 0..<max(1, consumers - 1) { try start() }
        try await waitUntilShared()
        try await write(0)
        // These come while the group makes room for one more.
        if consumers > 1 { try start() }
        try await write(1)
        if consumers > 1 { try await members.last!.waitForAssignment() }
        try await waitUntilShared()
        // And these while one leaves, who owns something.
        let owner = try await indexOfOwner()
        members[owner].child.kill(SIGTERM)
        try await write(2)
        let leaving = members.remove(at: owner)
        guard try await leaving.end().isSuccess else { throw TestFailure(leaving.lastLines) }
        if members.isEmpty { try start() }
        try await waitUntilShared()
        try await write(3)
        try await waitUntilAllIsStored()
        for member in members { try await member.stop() }
        return try tables()
    }

    private var properties: String { "\(directory.path)/kafka.properties" }

    private mutating func start() throws {
        members.append(
            try RunningProgram.reader("consumer", broker, database.url, ["--kafka-properties-file", properties]))
    }

    /// Waits until the members own all partitions together: each of them some, or the partitions are too few.
    private func waitUntilShared() async throws {
        let owners = min(members.count, Self.partitions)
        try await members[0].wait(for: "\(owners) of \(members.count) members to own all partitions") {
            let owned = try await owned()
            return owned.count { $0 > 0 } == owners && owned.reduce(0, +) == Double(Self.partitions)
        }
    }

    private func indexOfOwner() async throws -> Int {
        guard let index = try await owned().firstIndex(where: { $0 > 0 }) else { throw TestFailure("no owner") }
        return index
    }

    private func owned() async throws -> [Double] {
        var owned: [Double] = []
        for member in members { owned.append(try await member.metric("assigned_partitions")) }
        return owned
    }

    /// The records of a portion in a partition: some of the last one once more, new ones, and some that are no trades.
    private static func records(_ number: Int, partition: Int) -> [String] {
        let first = max(0, number * each - resent)
        let trades = (first..<(number + 1) * each).flatMap { place in
            sources.map { RecordWriter.trade($0, place * partitions + partition) }
        }
        return trades.prefix(trades.count / 2) + broken + trades.dropFirst(trades.count / 2)
    }

    private func write(_ number: Int) async throws {
        for partition in 0..<Self.partitions {
            try await RecordWriter(broker: broker).write(
                Self.records(number, partition: partition), to: broker.topic, partition: Int32(partition))
        }
    }

    private func waitUntilAllIsStored() async throws {
        let records = try await broker.recordCount(partitions: Self.partitions)
        try await members[0].wait(for: "\(records) records to be behind the positions") {
            try database.value(
                """
                SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id) WHERE topic = '\(broker.topic)'
                """) == "\(records)"
        }
    }

    /// All columns but those of the moment of reading. Of ids, the bits without the number of the log, of which the trades
    /// or the events have the first.
    private func tables() throws -> Tables {
        let origin = "id & ((1::bigint << 51) - 1)"
        let trades = try database.rows(
            """
            SELECT \(origin), symbol, price, "timestamp", volume, conditions, to_kafka, kafka_partition, kafka_offset, source,
                sequence, repeat
            FROM trade_data_finhub ORDER BY kafka_partition, kafka_offset, id
            """)
        let rejected = try database.rows(
            """
            SELECT \(origin), kafka_partition, kafka_offset, reason, payload FROM rejected_trade
            ORDER BY kafka_partition, kafka_offset, id
            """)
        return Tables(
            trades: trades.map { $0.joined(separator: "|") }, rejected: rejected.map { $0.joined(separator: "|") })
    }
}

extension RunningProgram {
    /// Waits until the group has answered this member, be it with nothing.
    fileprivate func waitForAssignment() async throws {
        try await wait(for: "the group's answer") {
            log.split(separator: "\n").contains { $0.contains("partitions assigned") && !$0.contains("-events ") }
        }
    }
}
