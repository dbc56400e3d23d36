import DatabaseTestSupport
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import KPIService

/// The latency rollups beside plain SQL over `ingest_batch`.
@Suite(.timeLimit(.minutes(10))) struct LatencyFoldTests {
    private static let noon = Timestamp(milliseconds: 1_721_390_400_000)

    /// Folds until nothing is left, so many batches at once, and answers how many there were.
    @discardableResult
    private static func fold(_ database: TestDatabase, atOnce: Int = 7) throws -> Int {
        var connection = try database.connect()
        var total = 0
        while true {
            let folded = try LatencyFold.run(&connection, atMost: atOnce)
            #expect(folded <= atOnce)
            if folded == 0 { return total }
            total += folded
        }
    }

    @Test func `batches of several partitions and logs, folded in any portions, equal plain SQL`() async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 1)
        for partition in [0, 1, 2047] {
            try database.storeBatches(40, partition: partition, at: Self.noon, &random)
        }
        #expect(try Self.fold(database) == 120)
        #expect(try database.latencyDifferences() == [])
        // A topic made anew, in another log; a new partition; a day before; a clock that was put back.
        try database.storeBatches(10, log: 2, partition: 0, at: Self.noon, &random)
        try database.storeBatches(
            10, partition: 5, at: Timestamp(milliseconds: Self.noon.milliseconds - 86_400_000), &random)
        let position = try #require(
            Int64(
                try database.value("SELECT max(next_offset) FROM ingest_batch WHERE log_id = 1 AND kafka_partition = 1")
            ))
        try database.storeBatches(10, partition: 1, from: position + 1000, at: Self.noon, every: -3, &random)
        #expect(try Self.fold(database, atOnce: 100) == 30)
        #expect(try Self.fold(database) == 0)
        #expect(try database.latencyDifferences() == [])
        #expect(
            try database.rows("SELECT log_id, partition, next_offset FROM latency_position ORDER BY 1, 2")
                == database.rows(
                    "SELECT log_id, kafka_partition, max(next_offset) FROM ingest_batch GROUP BY 1, 2 ORDER BY 1, 2"))
    }

    @Test func `batches are found in the partitions of their days`() async throws {
        let database = try await TestDatabase()
        try database.execute(
            "SELECT tickstream_make_day('ingest_batch', '2024-07-19'), tickstream_make_day('ingest_batch', '2024-07-20')"
        )
        var random = SplitMix64(seed: 2)
        // Over midnight, at which the clock is an hour back for a while.
        let end = try database.storeBatches(
            30, partition: 0, at: Timestamp(milliseconds: Self.noon.milliseconds + 43_100_000), &random)
        try database.storeBatches(
            30, partition: 0, from: end, at: Timestamp(milliseconds: Self.noon.milliseconds + 39_600_000), &random)
        #expect(try Self.fold(database) == 60)
        #expect(try database.latencyDifferences() == [])
    }

    @Test func `what was rolled back, or lost with its connection, is folded once by the next one`() async throws {
        try await TestDatabase.run { database in
            var random = SplitMix64(seed: 3)
            try database.storeBatches(30, partition: 0, at: Self.noon, &random)
            try database.storeBatches(30, partition: 1, at: Self.noon, &random)
            for attempt in 0..<3 {
                var connection = try database.connect()
                try connection.begin()
                #expect(try connection.query("SELECT fold_ingest_batches(11)").int64(0, 0) == 11)
                switch attempt {
                case 0: try connection.rollback()
                case 1: try database.execute("SELECT pg_terminate_backend(\(connection.backendPID))")
                default: break
                }
                // A next one that meets the lock has nothing to do; it is free once the server has noticed.
                try eventually("the lock is free") {
                    if attempt == 2 { try connection.commit() }
                    return try database.value(
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                    ) == "0"
                }
            }
            // What fails in the middle leaves nothing: the rollups refuse a row, and the position with it.
            try database.execute("ALTER TABLE latency_rollup_1h ADD CONSTRAINT refuse CHECK (trades < 0) NOT VALID")
            #expect(throws: PostgresError.self) { try Self.fold(database) }
            #expect(
                try database.value(
                    "SELECT sum(next_offset) < (SELECT sum(next_offset - first_offset) FROM ingest_batch) FROM latency_position"
                ) == "t")
            try database.execute("ALTER TABLE latency_rollup_1h DROP CONSTRAINT refuse")
            #expect(try Self.fold(database) == 49)
            #expect(try database.latencyDifferences() == [])
        }
    }

    @Test func `of several instances each batch is folded by one, while more come`() async throws {
        try await TestDatabase.run { database in
            let isOver = Atomic(false)
            let folders = (0..<3).map { _ in
                Worker {
                    var connection = try database.connect()
                    var total = 0
                    while true {
                        // Asked before the last look.
                        let isLast = isOver.load(ordering: .acquiring)
                        let folded = try LatencyFold.run(&connection, atMost: 5)
                        total += folded
                        if isLast, folded == 0 { return total }
                    }
                }
            }
            var random = SplitMix64(seed: 4)
            var ends: [Int64] = [0, 0]
            for round in 0..<20 {
                let partition = round % 2
                ends[partition] = try database.storeBatches(
                    5, partition: partition, from: ends[partition],
                    at: Timestamp(milliseconds: Self.noon.milliseconds + Int64(round) * 30_000), &random)
            }
            isOver.store(true, ordering: .releasing)
            var total = 0
            for folder in folders { total += try folder.value() }
            total += try Self.fold(database)
            #expect(total == 100)
            #expect(try database.latencyDifferences() == [])
        }
    }

    @Test func `who comes second does not wait, and folds nothing`() async throws {
        try await TestDatabase.run { database in
            var random = SplitMix64(seed: 5)
            try database.storeBatches(3, partition: 0, at: Self.noon, &random)
            var first = try database.connect()
            try first.begin()
            #expect(try first.query("SELECT fold_ingest_batches(2)").int64(0, 0) == 2)
            var second = try database.connect()
            #expect(try LatencyFold.run(&second) == 0)
            try first.commit()
            #expect(try LatencyFold.run(&second) == 1)
            #expect(try database.latencyDifferences() == [])
        }
    }
}
