import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

/// What verify says of the latency rollups.
@Suite(.timeLimit(.minutes(10))) struct LatencyVerificationTests {
    private static let noon = Timestamp(milliseconds: 1_721_390_400_000)

    /// Batches of two partitions over two hours and more, the last ones of which are not folded yet.
    private static func tables() async throws -> TradeTables {
        let tables = try await TradeTables()
        var random = SplitMix64(seed: 11)
        for partition in 0..<2 {
            let start = Timestamp(milliseconds: noon.milliseconds + Int64(partition) * 3_000_000)
            try tables.database.storeBatches(60, partition: partition, at: start, every: 90, &random)
        }
        try fold(tables.database, atMost: 100)
        return tables
    }

    private static func fold(_ database: TestDatabase, atMost limit: Int) throws {
        var connection = try database.connect()
        _ = try LatencyFold.run(&connection, atMost: limit)
    }

    private static func differences(_ tables: TradeTables) throws -> [String] {
        try tables.verify().lines.filter { $0.hasPrefix("latency_rollup") }
    }

    @Test func `rollups that were folded as they should be equal the batches`() async throws {
        let tables = try await Self.tables()
        #expect(try Self.differences(tables) == [])
        // All is folded, and a batch of no trades is in no rollup.
        try Self.fold(tables.database, atMost: 1000)
        #expect(try Self.differences(tables) == [])
        try tables.database.execute("UPDATE latency_rollup_1m SET min = min")
        #expect(try Self.differences(tables) == [])
    }

    /// What is spoiled, the tables that differ, and words of the first line.
    static let faults: [(sql: String, tables: [String], words: String)] = [
        ("UPDATE latency_rollup_1m SET trades = trades + 1 WHERE ctid = '(0,1)'", ["latency_rollup_1m"], "trades is"),
        ("UPDATE latency_rollup_1m SET negative = 777 WHERE ctid = '(0,1)'", ["latency_rollup_1m"], "negative is 777"),
        ("UPDATE latency_rollup_1h SET sum = sum - 1 WHERE ctid = '(0,1)'", ["latency_rollup_1h"], "sum is"),
        ("UPDATE latency_rollup_1h SET min = NULL WHERE ctid = '(0,1)'", ["latency_rollup_1h"], "min is"),
        ("UPDATE latency_rollup_1h SET max = max + 1 WHERE ctid = '(0,1)'", ["latency_rollup_1h"], "max is"),
        (
            "UPDATE latency_rollup_1h SET buckets[1] = buckets[1] - 1 WHERE ctid = '(0,1)'", ["latency_rollup_1h"],
            "buckets is"
        ),
        (
            "UPDATE latency_rollup_1h SET counts[1] = counts[1] + 1, counts[2] = counts[2] - 1 WHERE ctid = '(0,1)'",
            ["latency_rollup_1h"], "counts is"
        ),
        ("DELETE FROM latency_rollup_1m WHERE ctid = '(0,1)'", ["latency_rollup_1m"], "is missing: {"),
        (
            """
            INSERT INTO latency_rollup SELECT grain, window_start + interval '1 day', hop, trades, negative, sum, min, max,
                buckets, counts FROM latency_rollup_1h LIMIT 1
            """, ["latency_rollup_1h"], "should not be there: {"
        ),
        // A batch that counts, and is not merged.
        (
            "UPDATE latency_position SET next_offset = next_offset + 100000 WHERE partition = 1",
            ["latency_rollup_1h", "latency_rollup_1m"], " is "
        ),
    ]

    @Test(arguments: faults)
    func `a row that was changed by hand is found`(_ sql: String, _ names: [String], _ words: String) async throws {
        let tables = try await Self.tables()
        try tables.database.execute(sql)
        let lines = try Self.differences(tables)
        #expect(Set(lines.map { String($0.prefix { $0 != ":" }) }).sorted() == names)
        #expect(lines.first?.contains(words) == true, "\(lines)")
    }

    /// As docs/verification.md tells.
    @Test func `spoiled rollups are folded anew from the batches that are kept`() async throws {
        let tables = try await Self.tables()
        try tables.database.execute("UPDATE latency_rollup SET sum = sum + 1, trades = 1")
        try tables.database.execute(
            """
            DO $$ BEGIN
                ASSERT kpi_upkeep(), 'kpi-service is at it: try again';
                DELETE FROM latency_rollup
                    WHERE window_start >= (SELECT date_trunc('day', min(committed_at), 'UTC') FROM ingest_batch);
                DELETE FROM latency_position;
            END $$
            """)
        try Self.fold(tables.database, atMost: 1000)
        #expect(try Self.differences(tables) == [])
        #expect(try tables.database.latencyDifferences() == [])
    }

    @Test func `windows whose batches retention has taken are left out, which is told`() async throws {
        let tables = try await Self.tables()
        let database = tables.database
        var random = SplitMix64(seed: 12)
        try database.storeBatches(
            5, partition: 2, at: Timestamp(milliseconds: Self.noon.milliseconds - 86_400_000), &random)
        try Self.fold(database, atMost: 1000)
        #expect(try Self.differences(tables) == [])
        let rows = try database.value("SELECT count(*) FROM latency_rollup_1h WHERE window_start < '2024-07-19Z'")
        #expect(try database.value("SELECT tickstream_trim_default('ingest_batch', '2024-07-19', 1000)") == "5")
        let told = [
            "latency_rollup_1m: not compared: \(try database.value("SELECT count(*) FROM latency_rollup_1m WHERE window_start < '2024-07-19Z'")) rows from 2024-07-18 12:00:00+00 to 2024-07-18 12:00:00+00, of whose days ingest_batch has not all batches any more",
            "latency_rollup_1h: not compared: \(rows) rows from 2024-07-18 12:00:00+00 to 2024-07-18 12:00:00+00, of whose days ingest_batch has not all batches any more",
        ]
        #expect(try Self.differences(tables) == told)
        // Also where nothing tells of the days: they were deleted before version 14 of the schema.
        try database.execute("DELETE FROM forgotten_day")
        #expect(try Self.differences(tables) == told)
        try database.execute("UPDATE latency_rollup_1h SET trades = 0 WHERE window_start < '2024-07-19Z'")
        #expect(try Self.differences(tables) == told)
        try database.execute("UPDATE latency_rollup_1h SET trades = 0 WHERE window_start > '2024-07-19Z'")
        #expect(try Self.differences(tables).contains { $0.hasPrefix("latency_rollup_1h: window_start=2024-07-19 ") })
    }
}
