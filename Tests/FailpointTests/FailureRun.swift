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
    /// Trades that each portion has in each partition.
    private static let portion = 40

    private let failure: FailureCase
    private let broker: Broker
    private let database: TestDatabase
    private let directory: TemporaryDirectory

    /// Runs a case; throws when it does not come to its end, or the database has not each trade once.
    static func play(_ failure: FailureCase) async throws {
        try await FailureRun(failure).play()
    }

    private init(_ failure: FailureCase) async throws {
        self.failure = failure
        broker = try await Broker(partitions: Self.partitions.count)
        database = try await TestDatabase()
        directory = try TemporaryDirectory(prefix: "tickstream-failpoint")
        // The shortest that the broker bears: the embedded one rebalances within the session but a second.
        let session = Broker.kafkaHome == nil ? 2000 : 1500
        try "session.timeout.ms=\(session)\nheartbeat.interval.ms=200\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        try database.execute(
            "CREATE TABLE written (source text, sequence bigint, symbol text, price numeric, volume numeric)")
    }

    private func play() async throws {
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
            if others.isEmpty { others.append(try start()) }
        case .stop:
            if others.isEmpty { others.append(try start()) }
            try await others[0].wait(for: "the other one to own all partitions") {
                try await others[0].metric("assigned_partitions") == Double(Self.partitions.count)
            }
            try await waitUntilStored(through: fatal, by: others[0])
            reader.child.kill(SIGCONT)
        case .cut: break
        case .spoil:
            guard try await !reader.end().isSuccess, reader.log.contains("COMMIT was answered by ROLLBACK") else {
                throw TestFailure("nobody noticed\n\(reader.lastLines)")
            }
            others.append(try start())
        }
        let alive = reader.child.isRunning ? others + [reader] : others
        for number in fatal..<FailureCase.Batch.allCases.count {
            if number > fatal { try await write(number) }
            try await waitUntilStored(through: number, by: alive[0])
        }
        for program in alive { try await program.stop() }
        try verify()
    }

    private var properties: String { "\(directory.path)/kafka.properties" }

    private func start(armed: Bool = false) throws -> RunningProgram {
        var environment: [String: String] = [:]
        if armed {
            environment["TICKSTREAM_FAILPOINT"] =
                "\(failure.point.rawValue):topic=\(broker.topic):offset=\(offset):\(failure.action.rawValue)"
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
        let (database, wanted) = (database, Int64((number + 1) * Self.portion * Self.partitions.count))
        do {
            try await onThread {
                var connection = try database.connect()
                try eventually("\(wanted) records are stored") {
                    try connection.query("SELECT coalesce(sum(next_offset), 0)::bigint FROM offset_ledger").int64(0, 0)
                        == wanted
                }
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
    fileprivate func waitForFailpoint() async throws {
        try await eventually("the failpoint fires\n\(lastLines)") { log.contains("failpoint ") }
    }
}
