import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct GroupTests {
    private static let partitions = 4
    private static let trades = 8_000

    @Test func `members that stop and members that are killed lose and double nothing`() async throws {
        let directory = try TemporaryDirectory(prefix: "tickstream-group")
        // The broker finds out sooner that a killed member is gone.
        let properties = "\(directory.path)/kafka.properties"
        try "session.timeout.ms=6000\nheartbeat.interval.ms=500\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        let broker = try await Broker(partitions: Self.partitions)
        let database = try await TestDatabase()
        func startReaders() throws -> [RunningProgram] {
            try RunningProgram.readers.map {
                try RunningProgram.reader($0, broker, database.url, ["--kafka-properties-file", properties])
            }
        }
        let first = try startReaders()
        let second = try startReaders()
        let (simulator, url) = try await RunningProgram.simulator([
            "--extra-symbols", "30", "--rate", "500", "--limit", String(Self.trades),
        ])
        let symbols = (1...30).map { "SIM:00\($0 < 10 ? "0" : "")\($0)" }.joined(separator: ",")
        let producer = try RunningProgram.producer(broker, feed: url, ["--symbols", symbols])
        try await Self.waitUntilShared([first, second])
        for reader in first + second { try await reader.waitUntilStored(from: producer) }

        for reader in first { try await reader.stop() }
        try await Self.waitUntilShared([second])
        let third = try startReaders()
        try await Self.waitUntilShared([second, third])
        for reader in second { reader.child.kill(SIGKILL) }
        try await Self.waitUntilShared([third])

        try await producer.wait(for: "all trades to be acknowledged") {
            try await producer.metric("kafka_records_acknowledged_total") == Double(Self.trades)
        }
        for reader in third {
            try await reader.wait(for: "all records to be stored") {
                try database.value(
                    """
                    SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id)
                    WHERE reader = '\(reader.name)' AND topic = '\(broker.topic)'
                    """) == "\(Self.trades)"
            }
        }
        for program in third + [producer, simulator] { try await program.stop() }

        let counts = try database.rows(
            "SELECT count(*), count(DISTINCT (source, sequence)), count(DISTINCT id) FROM trade_data_finhub")
        #expect(counts == [["\(Self.trades)", "\(Self.trades)", "\(Self.trades)"]])
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "0")
        #expect(try database.rollupDifferences() == [])
    }

    /// Waits until the readers of each program own all partitions together, and each of them some.
    private static func waitUntilShared(_ generations: [[RunningProgram]]) async throws {
        for index in RunningProgram.readers.indices {
            let members = generations.map { $0[index] }
            try await members[0].wait(for: "\(members.count) members to own all partitions") {
                var owned: [Double] = []
                for member in members { owned.append(try await member.metric("assigned_partitions")) }
                return owned.allSatisfy { $0 > 0 } && owned.reduce(0, +) == Double(Self.partitions)
            }
        }
    }
}
