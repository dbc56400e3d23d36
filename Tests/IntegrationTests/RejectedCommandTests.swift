import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct RejectedCommandTests {
    private let database: TestDatabase
    private let broker: Broker

    init() async throws {
        database = try await TestDatabase()
        broker = try await Broker()
    }

    private func rejected(_ arguments: [String], bootstrap: String? = nil) async throws -> RunningProgram.Ended {
        let isRetry = arguments.first == "retry"
        return try await RunningProgram.run(
            "consumer", ["rejected"] + arguments + (isRetry ? ["--trades-topic", broker.topic] : []),
            [
                "DATABASE_URL": database.url,
                "KAFKA_BOOTSTRAP_SERVERS": isRetry ? bootstrap ?? broker.bootstrap : "",
            ])
    }

    /// A row as a reader would have made it, with an offset that no record has.
    private func reject(
        _ offset: Int, _ payload: String?, reason: String = "missing_field", topic: String? = nil,
        retrySequence: Int? = nil
    ) throws {
        let payload = payload.map { "convert_to('\($0)', 'UTF8')" } ?? "NULL"
        try database.execute(
            """
            INSERT INTO rejected_trade VALUES (\(1 << 51 + offset), '\(topic ?? broker.topic)', 0, \(offset), '\(reason)',
                \(payload), timestamptz '2026-08-28 12:00Z' + interval '\(offset) s', \(retrySequence.map(String.init) ?? "NULL"))
            """)
    }

    private func id(_ offset: Int) -> String { String(1 << 51 + offset) }

    private func startReaders() async throws -> [RunningProgram] {
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        for reader in readers { try await reader.waitForReadiness(200) }
        return readers
    }

    private func waitUntilRead(_ readers: [RunningProgram]) async throws {
        let count = try await broker.recordCount()
        for reader in readers {
            try await reader.wait(for: "\(reader.name) to read \(count) records") {
                try database.value(
                    """
                    SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id)
                    WHERE reader = '\(reader.name)' AND topic = '\(broker.topic)'
                    """) == "\(count)"
            }
        }
    }

    @Test func `list shows the newest first, and nothing that a terminal acts upon`() async throws {
        try reject(1, "old")
        try reject(2, "E\u{1B}[2J\u{9B}\r\n", reason: "malformed_json")
        try reject(3, String(repeating: "ä", count: 300), reason: "malformed_json", topic: broker.eventsTopic)
        try reject(4, nil, reason: "malformed_json")
        let all = try await rejected(["list"])
        #expect(all.status == .exited(0), "\(all)")
        let lines = all.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[0] == ["id", "topic", "partition", "offset", "reason", "rejected_at", "bytes", "payload"])
        #expect(lines.dropFirst().map { $0[0] } == [4, 3, 2, 1].map(id))
        #expect(
            lines.dropFirst().map { $0.last } == [
                "–", String(repeating: "ä", count: 100) + "…", #"E\u001b[2J\u009b\u000d\u000a"#, "old",
            ])
        #expect(
            lines[2].dropLast() == [
                id(3), broker.eventsTopic, "0", "3", "malformed_json", "2026-08-28T12:00:03.000000Z", "600",
            ])

        let some = try await rejected([
            "list", "--topic", broker.topic, "--reason", "malformed_json", "--limit", "2", "--output", "json",
        ])
        let objects = try some.output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.map { $0["offset"] as? Int } == [4, 2])
        #expect(objects[0]["payload"] is NSNull)
        #expect(objects[1]["payload"] as? String == "E\u{1B}[2J\u{9B}\r\n")
        #expect(!some.output.contains("\u{1B}"))
    }

    @Test func `drop wants to know what, and says how many`() async throws {
        for offset in 1...3 { try reject(offset, "x", reason: offset == 2 ? "bad_text" : "wrong_type") }
        for mistake in [[], ["--all", "--id", "1"], ["--id", "1", "--reason", "bad_text"]] {
            let ended = try await rejected(["drop"] + mistake)
            #expect(ended.status == .exited(2))
            #expect(
                ended.errors.hasPrefix("consumer: say which records: one of --id, --reason and --all\n"), "\(ended)")
        }
        #expect(try await rejected(["drop", "--reason", "bad_txt"]).status == .exited(2))
        #expect(try await rejected(["drop", "--reason", "bad_text"]).output == "1 records dropped")
        #expect(try await rejected(["drop", "--id", id(7)]).output == "0 records dropped")
        #expect(try await rejected(["drop", "--id", id(1)]).output == "1 records dropped")
        #expect(try database.rows("SELECT kafka_offset FROM rejected_trade") == [["3"]])
        #expect(try await rejected(["drop", "--all"]).output == "1 records dropped")
    }

    @Test func `what is a trade now comes to both readers once, and all else stays and is named`() async throws {
        let readers = try await startReaders()
        for offset in 0..<250 { try reject(offset, RecordWriter.trade("one", offset)) }
        try reject(300, "nonsense", reason: "malformed_json")
        try reject(301, nil)
        try reject(302, RecordWriter.event("one", 1), topic: broker.eventsTopic)
        let done = try await rejected(["retry", "--all"])
        #expect(done.status == .exited(0), "\(done)")
        #expect(
            done.output.split(separator: "\n") == [
                "\(id(300)), \(broker.topic) [0] at 300, stays: it is no trade, malformed_json",
                "\(id(301)), \(broker.topic) [0] at 301, stays: it is no trade, malformed_json",
                "\(id(302)), \(broker.eventsTopic) [0] at 302, stays: only trades are sent again, which are those of topic \(broker.topic)",
                "250 records sent, 0 stored, 3 kept",
            ])
        #expect(try await broker.recordCount() == 250)
        try await waitUntilRead(readers)
        let stored =
            "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence), min(source), max(source) FROM trade_data_finhub"
        #expect(try database.rows(stored) == [["250", "250", "1", "250", "retry", "retry"]])
        #expect(try database.rollupDifferences() == [])
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "3")

        // Runs that crashed: behind the acknowledgement, and before anything was sent.
        try reject(0, RecordWriter.trade("one", 0), retrySequence: 1)
        try reject(1, RecordWriter.trade("one", 1), retrySequence: 2)
        try reject(400, RecordWriter.trade("one", 400), retrySequence: 251)
        try reject(401, RecordWriter.trade("one", 401))
        try database.execute("SELECT setval('rejected_retry', 251)")
        let again = try await rejected(["retry", "--id", id(401)])
        #expect(
            again.output.split(separator: "\n")
                == ["3 records that an interrupted run had left were sent", "1 records sent, 0 stored, 0 kept"],
            "\(again)")
        #expect(try await broker.recordCount() == 254)
        try await waitUntilRead(readers)
        #expect(try database.rows(stored) == [["252", "252", "1", "252", "retry", "retry"]])
        #expect(try database.rollupDifferences() == [])
        for reader in readers {
            try await reader.wait(for: "what was skipped to be counted") {
                try await reader.metric("records_resent_total") == 2
            }
            try await reader.stop()
        }
        // They are accounted for, and in no figure of how long trades take.
        let batches = "SELECT sum(row_count), sum(retried), sum(resent), sum(cardinality(feed_to_db_counts))"
        #expect(try database.rows("\(batches) FROM ingest_batch") == [["0", "252", "2", "0"]])
        #expect(try database.rows("SELECT * FROM exact_process_time('-infinity', 'infinity')").isEmpty)
        #expect(try database.value("SELECT count(*) FROM latency_rollup") == "0")
        let verified = try await RunningProgram.run(
            "kpi-service", ["verify", "--to", "9999-12-31"], ["DATABASE_URL": database.url])
        #expect(verified.status == .exited(0), "\(verified)")
    }

    @Test func `runs at the same time send each record under one number`() async throws {
        let readers = try await startReaders()
        for offset in 0..<500 { try reject(offset, RecordWriter.trade("one", offset)) }
        let runs = try await withThrowingTaskGroup(of: RunningProgram.Ended.self) { group in
            for _ in 0..<3 { group.addTask { try await rejected(["retry", "--all"]) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for run in runs { #expect(run.status == .exited(0), "\(run)") }
        try await waitUntilRead(readers)
        #expect(
            try database.rows("SELECT count(*), count(DISTINCT (symbol, price, \"timestamp\")) FROM trade_data_finhub")
                == [["500", "500"]])
        #expect(try database.rollupDifferences() == [])
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "0")
        for reader in readers { try await reader.stop() }
    }

    @Test func `what only the database had refused is stored in its place, which kpi-service has counted`() async throws
    {
        let readers = try await startReaders()
        try await RecordWriter(broker: broker).write(
            (0..<3).map { RecordWriter.trade("one", $0) }, to: broker.topic, partition: 0)
        try await waitUntilRead(readers)
        for reader in readers { try await reader.stop() }
        let before = try database.rows(
            "SELECT id, symbol, price, volume, \"timestamp\", to_kafka FROM trade_data_finhub ORDER BY id")
        for offset in 0..<3 {
            try database.execute(
                """
                WITH gone AS (DELETE FROM trade_data_finhub WHERE kafka_offset = \(offset) RETURNING id)
                INSERT INTO rejected_trade SELECT id, '\(broker.topic)', 0, \(offset), 'refused_by_database',
                    convert_to('\(RecordWriter.trade("one", offset))', 'UTF8'), now() FROM gone
                """)
        }
        try database.execute("ALTER TABLE trade_data_finhub ADD CONSTRAINT cheap CHECK (price < 102)")
        let first = try await rejected(["retry", "--reason", "refused_by_database"])
        #expect(first.status == .exited(0), "\(first)")
        #expect(first.output.contains("] at 2, stays: new row for relation"), "\(first)")
        #expect(first.output.hasSuffix("0 records sent, 2 stored, 1 kept"))
        try database.execute("ALTER TABLE trade_data_finhub DROP CONSTRAINT cheap")
        #expect(try await rejected(["retry", "--all"]).output == "0 records sent, 1 stored, 0 kept")
        #expect(
            try database.rows(
                "SELECT id, symbol, price, volume, \"timestamp\", to_kafka FROM trade_data_finhub ORDER BY id")
                == before)
        #expect(try database.rollupDifferences() == [])
        #expect(try await broker.recordCount() == 3)
        #expect(try database.rows("SELECT * FROM exact_process_time('-infinity', 'infinity')").isEmpty)
    }

    @Test func `without Kafka a retry changes nothing`() async throws {
        try reject(1, RecordWriter.trade("one", 1))
        let ended = try await rejected(["retry", "--all"], bootstrap: try Broker.absent())
        #expect(ended.status == .exited(1), "\(ended)")
        #expect(try database.rows("SELECT retry_sequence FROM rejected_trade") == [["NULL"]])
    }
}
