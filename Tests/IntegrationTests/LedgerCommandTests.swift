import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct LedgerCommandTests {
    private let database: TestDatabase
    private let broker: Broker

    init() async throws {
        database = try await TestDatabase()
        broker = try await Broker()
    }

    private func ledger(_ arguments: [String], bootstrap: String? = nil) async throws -> RunningProgram.Ended {
        try await RunningProgram.run(
            "consumer", ["ledger"] + arguments,
            ["DATABASE_URL": database.url, "KAFKA_BOOTSTRAP_SERVERS": bootstrap ?? broker.bootstrap])
    }

    private func reset(_ arguments: [String]) async throws -> RunningProgram.Ended {
        try await ledger(["reset", "--topic", broker.topic] + arguments)
    }

    /// Writes numbered trades to partition 0.
    private func write(range: Range<Int>) async throws {
        try await RecordWriter(broker: broker).write(
            range.map { RecordWriter.trade("one", $0) }, to: broker.topic, partition: 0)
    }

    private func positions(_ columns: String = "reader, next_offset") throws -> [[String]] {
        try database.rows(
            """
            SELECT \(columns) FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE topic = '\(broker.topic)' AND partition = 0 ORDER BY generation, reader
            """)
    }

    private func waitForPosition(of readers: [RunningProgram], _ offset: Int) async throws {
        for reader in readers {
            try await reader.wait(for: "\(reader.name) to reach offset \(offset)") {
                try positions().last { $0[0] == reader.name } == [reader.name, "\(offset)"]
            }
        }
    }

    /// Has both readers read so many trades and stop.
    private func readAndStop(_ count: Int) async throws {
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        try await write(range: 0..<count)
        try await waitForPosition(of: readers, count)
        for reader in readers { try await reader.stop() }
    }

    @Test func `show lists positions beside the log, as a table and as JSON, and narrows them down`() async throws {
        try await readAndStop(20)
        try await write(range: 20..<23)
        try database.execute(
            "UPDATE offset_ledger SET fault = E'gone\\x1b[2J', owner = 'host:7' WHERE reader = 'kpi-service'")
        let table = try await ledger(["show", "--topic", broker.topic, "--partition", "0"])
        #expect(table.status == .exited(0), "\(table)")
        let lines = table.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let heads = [
            "reader", "topic", "cluster", "generation", "partition", "next_offset", "log_start", "log_end", "lag",
            "epoch", "owner", "updated_at", "fault",
        ]
        #expect(lines.first == heads)
        #expect(lines.dropFirst().map { $0[0] } == ["consumer", "kpi-service"])
        #expect(
            lines.dropFirst().allSatisfy { $0[1] == broker.topic && $0[3...8] == ["1", "0", "20", "0", "23", "3"] })
        #expect(lines.last?.suffix(1) == ["gone\\u001b[2J"])
        #expect(!table.output.contains("\u{1B}"))

        let json = try await ledger(["show", "--reader", "kpi-service", "--output", "json"])
        let objects = try json.output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.map { $0["reader"] as? String } == ["kpi-service", "kpi-service"])
        #expect(objects.map { $0["partition"] as? Int } == [0, 1])
        #expect(Set(objects[0].keys) == Set(heads))
        #expect(objects[0]["lag"] as? Int == 3)
        #expect(objects[0]["owner"] as? String == "host:7")
        #expect(objects[0]["fault"] as? String == "gone\u{1B}[2J")
    }

    @Test func `show does without Kafka, and says so`() async throws {
        try await readAndStop(5)
        let shown = try await ledger(
            ["show", "--output", "json", "--topic", broker.topic, "--partition", "0"], bootstrap: try Broker.absent())
        #expect(shown.status == .exited(0), "\(shown)")
        #expect(shown.errors.contains("the columns of the log are left out: Kafka cannot be asked"), "\(shown)")
        #expect(shown.output.components(separatedBy: #""next_offset":5,"log_start":null,"log_end":null"#).count == 3)
    }

    @Test func `show fails without the database`() async throws {
        let ended = try await RunningProgram.run(
            "consumer", ["ledger", "show"],
            [
                "DATABASE_URL": "postgresql://someone@\(try Broker.absent())/there",
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            ])
        #expect(ended.status == .exited(1), "\(ended)")
    }

    @Test(arguments: [
        ([], "--topic is missing: "), (["--topic", "t", "--partition", "1"], "--to is missing: "),
        (["--topic", "t", "--to", "-1", "--partition", "all"], "--to is '-1': must be an offset, earliest or latest"),
        (
            ["--topic", "t", "--to", "1", "--partition", "some"],
            "--partition is 'some': must be a number from 0 to 2047"
        ),
        (["--topic", "t", "--output", "json"], "there is no option --output"),
    ])
    func `a mistaken reset is refused`(_ arguments: [String], _ problem: String) async throws {
        let ended = try await ledger(["reset"] + arguments)
        #expect(ended.status == .exited(2))
        #expect(ended.errors.hasPrefix("consumer: \(problem)"), "\(ended)")
        #expect(ended.errors.hasSuffix("See 'consumer ledger reset --help'."))
    }

    @Test func `an offset outside of the log, and a reader without a position, are refused and change nothing`()
        async throws
    {
        try await readAndStop(5)
        let before = try positions("*")
        let beyond = try await reset(["--partition", "0", "--to", "6"])
        #expect(beyond.status == .exited(1))
        #expect(
            beyond.errors.contains(
                "offset 6 is not in \(broker.topic) [0], which has the offsets from 0 up to its end at 5"), "\(beyond)")
        let nobody = try await reset(["--partition", "0", "--to", "3", "--reader", "nobody"])
        #expect(nobody.status == .exited(1))
        #expect(nobody.errors.contains("nobody has no position in topic \(broker.topic) [0] of the cluster"))
        let dry = try await reset(["--partition", "all", "--to", "earliest", "--dry-run"])
        #expect(dry.status == .exited(0), "\(dry)")
        #expect(dry.output.hasPrefix("This would be done; nothing was changed:\n"))
        #expect(dry.output.contains("consumer: \(broker.topic) [0] 5 → 0, epoch 1 → 2, generation 1 → 2"))
        #expect(try positions("*") == before)
        #expect(try database.value("SELECT count(*) FROM feed_event WHERE kind = 'records_skipped'") == "0")
    }

    @Test func `readers that run are fenced by a reset forward, go on behind it, and double nothing`() async throws {
        let directory = try TemporaryDirectory(prefix: "tickstream-reset")
        let properties = "\(directory.path)/kafka.properties"
        try "session.timeout.ms=6000\nheartbeat.interval.ms=500\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        let readers = try RunningProgram.readers.map {
            try RunningProgram.reader($0, broker, database.url, ["--kafka-properties-file", properties])
        }
        try await write(range: 0..<100)
        try await waitForPosition(of: readers, 100)
        // Readers that are held up meanwhile, so that there is something to skip.
        for reader in readers { reader.child.kill(SIGSTOP) }
        try await write(range: 100..<150)
        let done = try await reset(["--partition", "0", "--to", "140"])
        for reader in readers { reader.child.kill(SIGCONT) }
        #expect(done.status == .exited(0), "\(done)")
        #expect(done.output.contains("consumer: \(broker.topic) [0] 100 → 140, 40 records skipped, epoch 1 → 2"))
        #expect(done.output.contains("kpi-service: \(broker.topic) [0] 100 → 140, 40 records skipped, epoch 1 → 2"))
        try await waitForPosition(of: readers, 150)
        try await write(range: 150..<160)
        try await waitForPosition(of: readers, 160)
        for reader in readers {
            #expect(reader.log.contains("fenced: "))
            try await reader.stop()
        }
        #expect(
            try database.rows("SELECT count(*), count(DISTINCT sequence) FROM trade_data_finhub") == [["120", "120"]])
        #expect(
            try database.value("SELECT count(*) FROM trade_data_finhub WHERE sequence BETWEEN 100 AND 139") == "0")
        #expect(try database.rollupDifferences() == [])
        #expect(
            try database.rows(
                "SELECT kind, kafka_partition, kafka_offset, details->>'topic', details->>'next_offset' FROM feed_event"
            )
                == [["records_skipped", "0", "100", broker.topic, "140"]])
        #expect(try database.rows("SELECT * FROM feed_gap") == [])
    }

    @Test func `readers that run take up a halted partition after a reset, and store of it what is new`() async throws {
        try await readAndStop(100)
        // As if the log had been longer: what a topic looks like that was made anew.
        try database.execute("UPDATE offset_ledger SET next_offset = 500 WHERE partition = 0")
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        for reader in readers { try await reader.waitForLog("a partition is halted until it is reset") }
        let shown = try await ledger(["show", "--topic", broker.topic, "--partition", "0", "--output", "json"])
        #expect(shown.output.components(separatedBy: #""lag":-400,"#).count == 3, "\(shown)")
        #expect(!shown.output.contains(#""fault":null"#))
        try await RecordWriter(broker: broker).write(
            (0..<10).map { RecordWriter.trade("two", $0) }, to: broker.topic, partition: 1)
        for reader in readers {
            try await reader.wait(for: "\(reader.name) to go on in the other partition") {
                try database.value(
                    """
                    SELECT next_offset FROM offset_ledger JOIN topic_log USING (log_id)
                    WHERE topic = '\(broker.topic)' AND partition = 1 AND reader = '\(reader.name)'
                    """) == "10"
            }
        }
        try await write(range: 100..<150)
        let done = try await reset(["--partition", "0", "--to", "earliest"])
        #expect(done.output.contains("consumer: \(broker.topic) [0] 500 → 0, epoch "), "\(done)")
        #expect(done.output.components(separatedBy: ", generation 1 → 2, was halted: ").count == 3)
        try await waitForPosition(of: readers, 150)
        for reader in readers { try await reader.stop() }
        #expect(
            try database.rows(
                """
                SELECT source, count(*), min(sequence), max(sequence) FROM trade_data_finhub
                GROUP BY source, id >> 51 ORDER BY source, min(sequence)
                """)
                == [["one", "100", "0", "99"], ["one", "50", "100", "149"], ["two", "10", "0", "9"]])
        #expect(try database.rollupDifferences() == [])
        let after = try await ledger(["show", "--topic", broker.topic, "--partition", "0", "--output", "json"])
        #expect(after.output.components(separatedBy: #""generation":2,"partition":0,"next_offset":150,"#).count == 3)
        #expect(!after.output.contains(#""fault":""#))
    }

    @Test func `a reset backward begins a generation that takes the marks along`() async throws {
        try await readAndStop(50)
        try database.execute("UPDATE offset_ledger SET fault = 'the log lies', anchor = 7 WHERE partition = 0")
        let done = try await reset(["--partition", "0", "--to", "earliest"])
        #expect(done.status == .exited(0), "\(done)")
        #expect(
            done.output.contains(
                "consumer: \(broker.topic) [0] 50 → 0, epoch 1 → 2, generation 1 → 2, was halted: the log lies"))
        #expect(
            try positions("reader, generation, next_offset, epoch, fault, anchor") == [
                ["consumer", "1", "50", "2", "NULL", "NULL"], ["kpi-service", "1", "50", "2", "NULL", "NULL"],
                ["consumer", "2", "0", "2", "NULL", "NULL"], ["kpi-service", "2", "0", "2", "NULL", "NULL"],
            ])
        #expect(
            try database.rows(
                "SELECT reader, generation, sequence FROM source_position JOIN topic_log USING (log_id) ORDER BY 2, 1")
                == [
                    ["consumer", "1", "49"], ["kpi-service", "1", "49"], ["consumer", "2", "49"],
                    ["kpi-service", "2", "49"],
                ]
        )
        let shown = try await ledger(["show", "--partition", "0", "--topic", broker.topic, "--output", "json"])
        #expect(shown.output.components(separatedBy: #""generation":2,"partition":0,"next_offset":0,"#).count == 3)
        #expect(!shown.output.contains(#""generation":1"#))
    }
}
