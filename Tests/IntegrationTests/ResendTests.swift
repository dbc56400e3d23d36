import DatabaseTestSupport
import Foundation
import LocalServers
import Postgres
import ProgramTestSupport
import TestSupport
import Testing

/// Records that a producer sends again after a crash, and the programs that read them.
@Suite(.timeLimit(.minutes(10))) struct ResendTests {
    private static let trades = 3_000
    private static let events = 60

    /// Two sources in each partition, which take turns; the same number is in both.
    private static func trades(_ range: Range<Int>) -> [String] {
        range.flatMap { number in ["one", "two"].map { RecordWriter.trade($0, number) } }
    }

    private static func waitForPosition(
        of reader: RunningProgram, topic: String, _ count: Int, _ database: TestDatabase
    ) async throws {
        try await reader.wait(for: "\(count) records of \(topic) to be behind the position") {
            try database.value(
                """
                SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id)
                WHERE reader = '\(reader.name)' AND topic = '\(topic)'
                """) == "\(count)"
        }
    }

    @Test func `what a producer sends again is stored and counted once, although the readers crash between`()
        async throws
    {
        let directory = try TemporaryDirectory(prefix: "tickstream-resend")
        let properties = "\(directory.path)/kafka.properties"
        try "session.timeout.ms=3500\nheartbeat.interval.ms=500\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        let broker = try await Broker()
        let database = try await TestDatabase()
        let writer = RecordWriter(broker: broker)
        var (written, writtenEvents) = (0, 0)
        func write(_ range: Range<Int>, events: Range<Int>) async throws {
            for partition in 0..<2 as Range<Int32> {
                try await writer.write(Self.trades(range), to: broker.topic, partition: partition)
            }
            try await writer.write(
                events.map { RecordWriter.event("one", $0) }, to: broker.eventsTopic, partition: 0)
            written += 4 * range.count
            writtenEvents += events.count
        }
        func startReaders() throws -> [RunningProgram] {
            try RunningProgram.readers.map {
                try RunningProgram.reader($0, broker, database.url, ["--kafka-properties-file", properties])
            }
        }
        func waitUntilRead(_ readers: [RunningProgram]) async throws {
            for reader in readers {
                try await Self.waitForPosition(of: reader, topic: broker.topic, written, database)
            }
            try await Self.waitForPosition(of: readers[0], topic: broker.eventsTopic, writtenEvents, database)
        }

        // The first life, which ends in a crash of all; the producer sends what it does not know to be acknowledged.
        let first = try startReaders()
        try await write(0..<1_000, events: 0..<20)
        try await waitUntilRead(first)
        for reader in first { reader.child.kill(SIGKILL) }
        try await write(700..<2_000, events: 10..<40)

        // The second crashes somewhere in what was sent again.
        let second = try startReaders()
        for reader in second { try await reader.waitForReadiness(200) }
        try await write(0..<2_500, events: 0..<50)
        for reader in second { reader.child.kill(SIGKILL) }
        let broken = ["nonsense"]
        for _ in 0..<2 { try await writer.write(broken, to: broker.topic, partition: 1) }
        written += 2
        try await write(2_400..<Self.trades, events: 45..<Self.events)

        let third = try startReaders()
        try await waitUntilRead(third)
        for reader in third { try await expectConservation(of: reader) }
        let before = try await third[1].metric("records_resent_total")
        try await write(0..<Self.trades, events: 0..<Self.events)
        try await waitUntilRead(third)
        for reader in third {
            try await expectConservation(of: reader)
            try await reader.waitForLog("records that had been stored before were skipped")
        }
        #expect(try await third[1].metric("records_resent_total") - before == Double(4 * Self.trades))
        for reader in third { try await reader.stop() }

        let rows = try database.rows(
            """
            SELECT kafka_partition, source, count(*), count(DISTINCT sequence), min(sequence), max(sequence)
            FROM trade_data_finhub GROUP BY 1, 2 ORDER BY 1, 2
            """)
        let count = "\(Self.trades)"
        #expect(
            rows
                == ["0", "1"].flatMap { partition in
                    ["one", "two"].map { [partition, $0, count, count, "0", "\(Self.trades - 1)"] }
                })
        #expect(try database.rollupDifferences() == [])
        #expect(try database.value("SELECT sum(trades) FROM trade_rollup_1h") == "\(4 * Self.trades)")
        #expect(
            try database.rows("SELECT count(*), count(DISTINCT sequence) FROM feed_event")
                == [["\(Self.events)", "\(Self.events)"]])
        // What has no number is rejected each time.
        #expect(try database.rows("SELECT reason FROM rejected_trade") == [["malformed_json"], ["malformed_json"]])
    }

    /// What was consumed is stored or was sent again; of what is stored, some may be rejections.
    private func expectConservation(of reader: RunningProgram) async throws {
        try await reader.wait(for: "all to be counted") {
            let read = try await reader.metric("records_read_total")
            let stored = try await reader.metric("records_stored_total")
            let resent = try await reader.metric("records_resent_total")
            return read == stored + resent
        }
    }
}
