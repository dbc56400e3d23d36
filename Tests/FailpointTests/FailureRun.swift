import DatabaseTestSupport
import ExactlyOnce
import Foundation
import LocalServers
import Postgres
import ProgramTestSupport
import TestSupport

/// A reader that fails, and what the database has in the end.
struct FailureRun {
    private static let partitions: Range<Int32> = 0..<2
    /// Trades that each portion has in each partition: so few that one statement stores them all.
    private static let portion = 24

    private let failure: FailureCase
    private let broker: Broker
    private let database: TestDatabase
    private let directory: TemporaryDirectory

    /// Runs a case; throws when it does not come to its end, or the database has not each trade once.
    static func play(_ failure: FailureCase) async throws {
        try await FailureRun(failure).play()
    }

    /// Changes what the position says of the record before it.
    static func playOtherRecord() async throws {
        let run = try await FailureRun(FailureCase(program: "consumer", point: .inClaim, batch: .first, action: .cut))
        let former = try run.start()
        try await run.write(0, and: former)
        try await former.stop()
        try run.database.execute("UPDATE offset_ledger SET anchor = anchor + 1")
        try await run.write(1)
        let reader = try run.start()
        try await reader.waitForLog("halted", count: partitions.count)
        try await reader.stop()
        let count = try run.database.value("SELECT count(*) FROM trade_data_finhub")
        guard count == "\(portion * partitions.count)" else { throw TestFailure("\(count) trades were stored") }
    }

    private init(_ failure: FailureCase) async throws {
        self.failure = failure
        broker = try await Broker(partitions: Self.partitions.count)
        database = try await TestDatabase()
        directory = try TemporaryDirectory(prefix: "tickstream-failpoint")
        // Short ones; the embedded broker has a first join wait for 3 s, and the session must not end meanwhile.
        let session = Broker.kafkaHome == nil ? 3500 : 1500
        try "session.timeout.ms=\(session)\nheartbeat.interval.ms=200\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        try database.execute(
            "CREATE TABLE written (source text, sequence bigint, symbol text, price numeric, volume numeric)")
    }

    private func play() async throws {
        if failure.point == .afterSendingCommit { try slowDownCommit() }
        let fatal = failure.batch.rawValue
        let isClaim = failure.point == .inClaim
        var reader = try start(armed: !isClaim || fatal == 0)
        for number in 0..<fatal { try await write(number, and: reader) }
        if isClaim, fatal > 0 {
            try await reader.stop()
            reader = try start(armed: true)
        }
        try await write(fatal)
        var others: [RunningProgram] = []
        if failure.point == .inRevoke {
            try await waitUntilStored(through: fatal, by: reader)
            others.append(try start())
        }
        try await reader.waitForFailpoint()
        switch failure.action {
        case .crash:
            guard try await reader.end() == .signaled(SIGKILL) else {
                throw TestFailure("no crash\n\(reader.lastLines)")
            }
            try await haveTakenOver(&others)
        case .stop:
            try await haveTakenOver(&others)
            try await waitUntilStored(through: fatal, by: others[0])
            reader.child.kill(SIGCONT)
        case .cut: break
        case .spoil:
            try await eventually("somebody notices\n\(reader.lastLines)") {
                reader.log.contains("COMMIT was answered by ROLLBACK")
            }
            _ = try await reader.end()
            try await haveTakenOver(&others)
        }
        let alive = reader.child.isRunning ? others + [reader] : others
        for number in fatal..<FailureCase.Batch.allCases.count {
            if number > fatal { try await write(number) }
            try await waitUntilStored(through: number, by: alive[0])
        }
        for program in alive { try await program.stop() }
        if failure.action != .stop, let fenced = alive.first(where: { $0.log.contains("another member has claimed") }) {
            throw TestFailure("nobody else was there, but it was overtaken\n\(fenced.lastLines)")
        }
        try verify()
    }

    /// Waits until another reader, which is started unless there is one, has claimed all partitions.
    private func haveTakenOver(_ others: inout [RunningProgram]) async throws {
        if others.isEmpty { others.append(try start()) }
        let other = others[0]
        try await wait(
            for: "the other one to own all partitions", Int64(Self.partitions.count), by: other,
            """
            SELECT count(*) FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE topic = '\(broker.topic)' AND owner LIKE '%:\(other.child.pid)'
            """)
    }

    /// Has the commit of the batch take a while on the server: whoever asks meanwhile what became of it must wait.
    private func slowDownCommit() throws {
        try database.execute(
            """
            CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.partition = 0 AND \(offset) >= OLD.next_offset AND \(offset) < NEW.next_offset THEN
                    PERFORM pg_sleep(0.5);
                END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON offset_ledger DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION dawdle()
            """)
    }

    private var properties: String { "\(directory.path)/kafka.properties" }

    private func start(armed: Bool = false) throws -> RunningProgram {
        var environment: [String: String] = [:]
        if armed {
            environment["TICKSTREAM_FAILPOINT"] =
                "\(failure.point.rawValue):topic=\(broker.topic):offset=\(offset)"
                + "\(failure.inSteps ? ":steps=yes" : ""):\(failure.action.rawValue)"
        }
        return try RunningProgram.reader(
            failure.program, broker, database.url, ["--kafka-properties-file", properties], environment)
    }

    /// From which offset of partition 0 on the point fires.
    private var offset: Int {
        let start = failure.batch.rawValue * Self.portion
        switch failure.point {
        case .inClaim: return start
        case .inRevoke: return start + Self.portion - 1
        default: break
        }
        // With the very first record, one of the middle, and the very last.
        switch failure.batch {
        case .first: return start
        case .middle: return start + Self.portion / 2
        case .last: return start + Self.portion - 1
        }
    }

    /// Writes the portion of this number: two sources in each partition, each number of a source in one of them.
    private func write(_ number: Int) async throws {
        for partition in Self.partitions {
            let each = Self.portion / 2
            let values = (number * each..<(number + 1) * each).flatMap { place in
                ["one", "two"].map { RecordWriter.trade($0, place * Self.partitions.count + Int(partition)) }
            }
            try await RecordWriter(broker: broker).write(values, to: broker.topic, partition: partition)
            try database.execute(
                """
                INSERT INTO written
                SELECT trade ->> 'src', (trade ->> 'seq')::bigint, trade ->> 's', (trade ->> 'p')::numeric,
                    (trade ->> 'v')::numeric
                FROM jsonb_array_elements('[\(values.joined(separator: ","))]') AS trade
                """)
        }
    }

    private func write(_ number: Int, and reader: RunningProgram) async throws {
        try await write(number)
        try await waitUntilStored(through: number, by: reader)
    }

    /// Waits until a portion and those before are behind the positions.
    private func waitUntilStored(through number: Int, by reader: RunningProgram) async throws {
        try await wait(
            for: "portion \(number) to be stored", Int64((number + 1) * Self.portion * Self.partitions.count),
            by: reader,
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM offset_ledger")
    }

    /// Asks until the database answers with this number; a failure shows the reader's log.
    private func wait(for what: String, _ number: Int64, by reader: RunningProgram, _ question: String) async throws {
        do {
            try await onThread { [database] in
                var connection = try database.connect()
                try eventually(what) { try connection.query(question).int64(0, 0) == number }
            }
        } catch {
            throw TestFailure("\(error)\n\(reader.lastLines)")
        }
    }

    /// Each trade that was written is stored once, or counted once.
    private func verify() throws {
        let differences: String
        if failure.program == "consumer" {
            differences = """
                (SELECT 'lost', source, sequence FROM written EXCEPT ALL
                    SELECT 'lost', source, sequence FROM trade_data_finhub)
                UNION ALL
                (SELECT 'doubled', source, sequence FROM trade_data_finhub EXCEPT ALL
                    SELECT 'doubled', source, sequence FROM written)
                """
        } else {
            differences = """
                WITH plain AS (
                    SELECT symbol, count(*), sum(price) AS price, sum(volume) AS volume FROM written GROUP BY symbol),
                kept AS (
                    SELECT symbol, sum(trades) AS count, sum(price_sum) AS price, sum(volume) AS volume
                    FROM trade_rollup_1s GROUP BY symbol)
                SELECT * FROM plain FULL JOIN kept USING (symbol, count, price, volume)
                WHERE plain.symbol IS NULL OR kept.symbol IS NULL
                """
        }
        let rows = try database.rows(differences)
        guard rows.isEmpty else { throw TestFailure("\(rows.count) differences: \(rows.prefix(10))") }
        let expected = FailureCase.Batch.allCases.count * Self.portion * Self.partitions.count
        let written = try database.value("SELECT count(*) FROM written")
        guard written == "\(expected)" else { throw TestFailure("\(written) of \(expected) trades were written") }
    }
}

extension RunningProgram {
    func waitForFailpoint() async throws {
        try await eventually("the failpoint fires\n\(lastLines)") { log.contains("failpoint ") }
    }
}
