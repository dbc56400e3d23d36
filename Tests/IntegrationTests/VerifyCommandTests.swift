import DatabaseTestSupport
import Foundation
import LocalServers
import Postgres
import ProgramTestSupport
import TestSupport
import Testing

/// `kpi-service rebuild` and `kpi-service verify`, with the programs that run beside them.
@Suite(.timeLimit(.minutes(10))) struct VerifyCommandTests {
    private let database: TestDatabase
    private let broker: Broker

    init() async throws {
        database = try await TestDatabase()
        broker = try await Broker()
    }

    private func run(
        _ command: String, _ arguments: [String] = ["--to", "9999-12-31"], url: String? = nil
    ) async throws -> RunningProgram.Ended {
        try await RunningProgram.run("kpi-service", [command] + arguments, ["DATABASE_URL": url ?? database.url])
    }

    /// Writes trades to both partitions, of which those with greater numbers are older; each third is a repeat.
    private func write(_ numbers: Range<Int>) async throws {
        for partition in 0..<2 as Range<Int32> {
            let values = numbers.map { number in
                #"{"s":"S\#(partition)\#(number % 2)","p":\#(100 + number % 7).5,"t":\#(1_787_924_136_000 - number * 130),"#
                    + #""v":\#(number % 5),"c":null,"to_kafka":"2026-08-28T12:00:00.000001Z","#
                    + #""src":"p\#(partition)","seq":\#(number),"repeat":\#(number % 3 == 2 ? 1 : 0)}"#
            }
            try await RecordWriter(broker: broker).write(values, to: broker.topic, partition: partition)
        }
    }

    private func start(_ name: String, _ arguments: [String] = [], _ environment: [String: String] = [:]) throws
        -> RunningProgram
    {
        try RunningProgram.reader(name, broker, database.url, arguments, environment)
    }

    private func waitForPosition(_ reader: RunningProgram, _ offset: Int) async throws {
        try await reader.wait(for: "\(reader.name) to reach offset \(offset) in both partitions") {
            try database.value(
                "SELECT coalesce(sum(next_offset), 0) FROM offset_ledger WHERE reader = '\(reader.name)'")
                == "\(2 * offset)"
        }
    }

    private func expectNoDifferences(_ arguments: [String] = []) async throws {
        let verified = try await run("verify", ["--to", "9999-12-31"] + arguments)
        #expect(verified.status == .exited(0), "\(verified)")
        let lines = verified.output.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(lines.last?.firstMatch(of: /^checked=[1-9][0-9]+ differences=0 unread=0$/) != nil, "\(verified)")
    }

    @Test func `rollups of portions that came in the wrong order are right, and spoiled ones are found and mended`()
        async throws
    {
        let readers = try RunningProgram.readers.map { try start($0) }
        // Each portion in transactions of its own, and older than the one before.
        for portion in 1...3 {
            try await write((portion - 1) * 40..<portion * 40)
            for reader in readers { try await waitForPosition(reader, portion * 40) }
        }
        try await expectNoDifferences()

        try database.execute(
            """
            UPDATE trade_rollup_1s SET price_sum = price_sum + 0.01 WHERE ctid = (SELECT min(ctid) FROM trade_rollup_1s);
            DELETE FROM trade_rollup_1m WHERE symbol = 'S01'
            """)
        let spoiled = try await run("verify")
        #expect(spoiled.status == .exited(1), "\(spoiled)")
        #expect(spoiled.output.contains("trade_rollup_1s: symbol=S"))
        #expect(spoiled.output.contains("price_sum is "))
        #expect(spoiled.output.contains("trade_rollup_1m: symbol=S01"))
        #expect(spoiled.output.contains(" is missing: {"))
        #expect(spoiled.errors.contains("differences; 'kpi-service rebuild' makes rollups anew"))

        let rebuilt = try await run("rebuild")
        #expect(rebuilt.status == .exited(0), "\(rebuilt)")
        #expect(rebuilt.output.contains("making anew whole hours from 1970-01-01T00:00:00.000000Z to "))
        #expect(
            rebuilt.output.split(separator: "\n").last?.firstMatch(of: /^rebuilt=[1-2] windows=\d+ changed=[1-9]/)
                != nil)
        try await expectNoDifferences()
        for reader in readers { try await reader.stop() }
    }

    /// Of 10,000 symbols, in turn: in time, 40 minutes late, two days ahead; with no volume, tiny, and of 17 digits.
    @Test func `odd trades of ten thousand symbols are counted to the last digit`() async throws {
        let readers = try RunningProgram.readers.map { try start($0) }
        let count = 15_000
        for partition in 0..<2 as Range<Int32> {
            let values = (0..<count).map { number in
                let price = ["1e-7", "67123.45678901234", "0.00000001", "317.775"][number % 4]
                let volume = ["0", "1e-7", "12345678.90123", "200"][number / 4 % 4]
                let late = [0, 2_400_000, -172_800_000][number % 3]
                return #"{"s":"SYM:\#(number % 5000 * 2 + Int(partition))","p":\#(price),"#
                    + #""t":\#(1_787_924_136_000 + number * 7 - late),"v":\#(volume),"c":null,"#
                    + #""to_kafka":"2026-08-28T12:00:00.000001Z","src":"p\#(partition)","seq":\#(number),"repeat":0}"#
            }
            try await RecordWriter(broker: broker).write(values, to: broker.topic, partition: partition)
        }
        for reader in readers { try await waitForPosition(reader, count) }
        #expect(try database.value("SELECT count(DISTINCT symbol) FROM trade_rollup_1h") == "10000")
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "0")
        try await expectNoDifferences()
        for reader in readers { try await reader.stop() }
    }

    @Test func `repeats are left out where that is set, and rebuild makes rows of both ways alike`() async throws {
        let consumer = try start("consumer")
        let ignoring = try start("kpi-service", ["--repeats", "ignore"])
        try await write(0..<30)
        for reader in [consumer, ignoring] { try await waitForPosition(reader, 30) }
        #expect(
            try database.rows("SELECT repeats, sum(trades) FROM trade_rollup_1h GROUP BY 1") == [["ignore", "40"]])
        try await expectNoDifferences(["--repeats", "ignore"])
        try await ignoring.stop()

        let counting = try start("kpi-service")
        try await write(30..<60)
        for reader in [consumer, counting] { try await waitForPosition(reader, 60) }
        let mixed = try await run("verify")
        #expect(mixed.status == .exited(1))
        #expect(mixed.output.contains("repeats is mixed and should be count"), "\(mixed)")
        #expect(try await run("rebuild").status == .exited(0))
        #expect(
            try database.rows("SELECT repeats, sum(trades) FROM trade_rollup_1h GROUP BY 1") == [["count", "120"]])
        try await expectNoDifferences()
        for reader in [consumer, counting] { try await reader.stop() }
    }

    @Test func `rebuild leaves to kpi-service what it has not read`() async throws {
        let readers = try RunningProgram.readers.map { try start($0) }
        try await write(0..<20)
        for reader in readers { try await waitForPosition(reader, 20) }
        try await readers[1].stop()
        try await write(20..<40)
        try await waitForPosition(readers[0], 40)
        #expect(try await run("rebuild").output.contains(" changed=0"))
        let unread = try await run("verify")
        #expect(unread.output.contains("differences=0 unread=40"), "\(unread)")
        let kpiService = try start("kpi-service")
        try await waitForPosition(kpiService, 40)
        try await expectNoDifferences()
        for reader in [readers[0], kpiService] { try await reader.stop() }
    }

    /// The rows of the transaction are there, and its position is not.
    @Test func `rebuild waits for a transaction of kpi-service that is under way`() async throws {
        let readers = try RunningProgram.readers.map { try start($0) }
        try await write(0..<20)
        for reader in readers { try await waitForPosition(reader, 20) }
        func waitForLock(_ reader: RunningProgram, _ session: String) async throws {
            try await reader.wait(for: "\(session) to wait for a lock") {
                try database.value(
                    """
                    SELECT count(*) > 0 FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = '\(session)' AND wait_event_type = 'Lock'
                    """) == "t"
            }
        }
        var holder = try database.connect()
        try holder.begin()
        try holder.execute("SELECT FROM offset_ledger WHERE reader = 'kpi-service' FOR UPDATE")
        try await write(20..<40)
        try await waitForPosition(readers[0], 40)
        try await waitForLock(readers[1], "kpi-service")
        let rebuild = try RunningProgram("kpi-service", ["rebuild"], ["DATABASE_URL": database.url])
        try await waitForLock(rebuild, "kpi-service rebuild")
        try holder.commit()
        #expect(try await rebuild.end() == .exited(0), "\(rebuild.lastLines)")
        try await waitForPosition(readers[1], 40)
        try await expectNoDifferences()
        for reader in readers { try await reader.stop() }
    }

    @Test func `a user of the group may rebuild and verify`() async throws {
        let readers = try RunningProgram.readers.map { try start($0) }
        try await write(0..<20)
        for reader in readers { try await waitForPosition(reader, 20) }
        let url = try database.makeUser(password: "secret", "IN ROLE tickstream_kpi")
        try database.execute("UPDATE trade_rollup_1m SET trades = trades + 1")
        #expect(try await run("verify", url: url).status == .exited(1))
        let rebuilt = try await run("rebuild", url: url)
        #expect(rebuilt.status == .exited(0), "\(rebuilt)")
        let verified = try await run("verify", url: url)
        #expect(verified.status == .exited(0), "\(verified)")
        for reader in readers { try await reader.stop() }
    }

    @Test(arguments: [
        (
            ["--from", "yesterday"],
            "--from is 'yesterday': must be a moment such as 2026-08-28T15:00:00Z, or a date in UTC"
        ),
        (["--from", "2026-08-28", "--to", "2026-08-28"], "is not before --to 2026-08-28T00:00:00.000000Z"),
        (["--repeats", "twice"], "must be count or ignore"),
    ])
    func `a mistake in the range is told`(_ arguments: [String], _ words: String) async throws {
        for command in ["verify", "rebuild"] {
            let ended = try await run(command, arguments)
            #expect(ended.status == .exited(2))
            #expect(ended.errors.contains(words), "\(ended)")
        }
    }
}
