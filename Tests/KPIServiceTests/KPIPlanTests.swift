import DatabaseTestSupport
import Foundation
import Postgres
import TestSupport
import Testing

@testable import KPIService

/// What queries of the views read: pages, as the server counts them, and which tables.
@Suite(.timeLimit(.minutes(10))) struct KPIPlanTests {
    private static let views = [
        "average_volume_per_symbol", "rate_of_transaction", "symbol_count_per_30s", "median_process_time_table",
        "latency_1m", "latency_1h", "candle_1s", "candle_1m", "candle_1h", "symbol_staleness", "traded_symbol",
    ]

    @Test(arguments: views) func `no KPI reads the raw trades`(_ view: String) async throws {
        let database = try await TestDatabase()
        for condition in ["", "WHERE window_start >= now() - interval '1 hour'", "ORDER BY window_start DESC LIMIT 20"]
        {
            if !condition.isEmpty, ["average_volume_per_symbol", "symbol_staleness", "traded_symbol"].contains(view) {
                continue
            }
            let plan = try database.rows("EXPLAIN (VERBOSE) SELECT * FROM \(view) \(condition)").map { $0[0] }
            #expect(!plan.isEmpty)
            #expect(!plan.contains { $0.contains("trade_data_finhub") }, "\(plan)")
        }
        // Nor do the functions that they call: one that nobody calls reads them, and the consumer's writes them.
        #expect(
            try database.value(
                """
                SELECT string_agg(proname, ', ' ORDER BY proname) FROM pg_proc
                WHERE pronamespace = current_schema()::regnamespace AND prosrc LIKE '%trade_data_finhub%'
                """) == "exact_process_time, store_trades")
    }

    /// Rollups of so many hours, of ten symbols every ten seconds, up to noon.
    private static func fill(hours: Int, _ database: TestDatabase) throws {
        let times =
            "generate_series(timestamptz '2024-07-19 12:00Z' - \(hours) * interval '1 hour', '2024-07-19 11:59:59Z', interval"
        for (grain, step) in [("1s", "10 seconds"), ("1m", "1 minute"), ("1h", "1 hour")] {
            try database.execute(
                """
                INSERT INTO trade_rollup_\(grain) SELECT 'S' || s, t, 1, 1, 1, 1, 1, t, 1, 1, 1, 1, t, 1
                FROM \(times) '\(step)') AS t, generate_series(1, 10) AS s ORDER BY t, s
                """)
            guard grain != "1s" else { continue }
            try database.execute(
                """
                INSERT INTO latency_rollup SELECT '\(grain)', t, hop, 9, 0, 9, 1, 1, '{1,2,3}', '{3,3,3}'
                FROM \(times) '\(step)') AS t,
                     unnest('{feed_to_kafka,kafka_to_consumer,consumer_to_db,feed_to_db}'::text[]) AS hop ORDER BY t, hop
                """)
        }
        try database.execute("VACUUM ANALYZE")
    }

    /// How many pages a query reads, and how many rows it gives.
    private static func cost(_ query: String, _ database: TestDatabase) throws -> (pages: Int, rows: Int) {
        let text = try database.rows("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) \(query)").map { $0[0] }
        let plans = try JSONSerialization.jsonObject(with: Data(text.joined(separator: "\n").utf8)) as? [[String: Any]]
        let plan = try #require(plans?.first?["Plan"] as? [String: Any])
        let pages = ["Shared Hit Blocks", "Shared Read Blocks"].compactMap { plan[$0] as? Int }.reduce(0, +)
        return (pages, try #require(plan["Actual Rows"] as? Int))
    }

    @Test func `a stretch of time, or the newest windows, cost the same however much is behind them`() async throws {
        let small = try await TestDatabase()
        let large = try await TestDatabase()
        try Self.fill(hours: 2, small)
        try Self.fill(hours: 40, large)
        for thresholds in [[4, 30, 1], [4, 60, 20]] {
            for database in [small, large] { try database.setThresholds(thresholds) }
            for view in [
                "rate_of_transaction", "symbol_count_per_30s", "median_process_time_table", "latency_1m", "candle_1s",
                "candle_1m", "candle_1h",
            ] {
                for condition in [
                    "WHERE window_start >= '2024-07-19 11:50Z' AND window_start < '2024-07-19 11:55Z'",
                    "WHERE window_start >= '2024-07-19 11:00Z'", "ORDER BY window_start DESC LIMIT 20",
                ] {
                    let query = "SELECT * FROM \(view) \(condition)"
                    let (few, many) = (try Self.cost(query, small), try Self.cost(query, large))
                    #expect(few.rows == many.rows, "\(query)")
                    // Deeper indexes, and one probe for each hour in which there are trades.
                    #expect(
                        many.pages <= few.pages * 3 / 2 + 40 * 4 + 40,
                        "\(query): \(few.pages) pages, then \(many.pages)")
                }
            }
        }
        // The measure does tell: without a stretch, all is read.
        #expect(try Self.cost("SELECT * FROM rate_of_transaction", large).pages > 1000)
    }

    @Test func `one symbol's volume by the second is found by its key`() async throws {
        let database = try await TestDatabase()
        try Self.fill(hours: 40, database)
        let (pages, rows) = try Self.cost(
            """
            SELECT window_start, volume FROM candle_1s
            WHERE symbol = 'S3' AND window_start >= '2024-07-19 11:00Z' AND window_start < '2024-07-19 11:10Z'
            """, database)
        #expect(rows == 60)
        #expect(pages < 100)
    }
}
