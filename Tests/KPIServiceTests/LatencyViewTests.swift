import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

/// What the latency views say, beside the raw rows.
@Suite(.timeLimit(.minutes(10))) struct LatencyViewTests {
    private static let durations = [
        ("feed_to_kafka", #"to_kafka - "timestamp""#), ("kafka_to_consumer", "to_consumer - to_kafka"),
        ("consumer_to_db", "to_db - to_consumer"), ("feed_to_db", #"to_db - "timestamp""#),
    ]

    private static func stored() async throws -> TestDatabase {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 11)
        let start = Timestamp(milliseconds: 1_721_390_000_000)
        try database.storeBatches(80, partition: 0, at: start, withRows: true, &random)
        try database.storeBatches(80, partition: 1, at: start, withRows: true, &random)
        var connection = try database.connect()
        #expect(try LatencyFold.run(&connection) == 160)
        return database
    }

    /// Exact figures of the raw rows, of each window and part of the way.
    private static func exact(_ unit: String) -> String {
        durations.map { hop, duration in
            """
            SELECT date_trunc('\(unit)', to_db, 'UTC') AS window_start, '\(hop)' AS hop, count(*) FILTER (WHERE took >= 0) AS trades,
                   count(*) FILTER (WHERE took < 0) AS negative, avg(took) FILTER (WHERE took >= 0) AS mean,
                   min(took) FILTER (WHERE took >= 0) AS minimum,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0) AS p50,
                   percentile_disc(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0) AS p95,
                   percentile_disc(0.99) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0) AS p99,
                   max(took) FILTER (WHERE took >= 0) AS maximum
            FROM (SELECT to_db, extract(epoch FROM \(duration)) AS took FROM trade_data_finhub) AS rows GROUP BY 1
            """
        }.joined(separator: "\nUNION ALL\n")
    }

    @Test(arguments: [("1m", "minute"), ("1h", "hour")])
    func `counts, mean, least and greatest are exact, quantiles within 0_8 percent`(
        _ grain: String, _ unit: String
    ) async throws {
        let database = try await Self.stored()
        #expect(
            try database.differences(
                """
                SELECT window_start, hop, trades, negative, round(mean, 9), round(minimum, 6), round(maximum, 6)
                FROM latency_\(grain)
                """,
                """
                SELECT window_start, hop, trades, negative, round(mean, 9), round(minimum, 6), round(maximum, 6)
                FROM (\(Self.exact(unit))) AS exact
                """) == [])
        let wrong = try database.rows(
            """
            SELECT window_start, hop, told.share, told.value, exact.value
            FROM (SELECT window_start, hop, share, value FROM latency_\(grain),
                         unnest('{50,95,99}'::int[], ARRAY[p50, p95, p99]) AS each (share, value)) AS told
            JOIN (SELECT window_start, hop, share, value FROM (\(Self.exact(unit))) AS exact,
                         unnest('{50,95,99}'::int[], ARRAY[p50, p95, p99]) AS each (share, value)) AS exact
                USING (window_start, hop, share)
            WHERE (abs(told.value - exact.value) <= exact.value * 0.008) IS NOT TRUE AND exact.value IS NOT NULL
            """)
        #expect(wrong == [])
    }

    @Test func `median_process_time_table has the figures of each minute, and flags clocks that differ`() async throws {
        let database = try await Self.stored()
        #expect(
            try database.differences(
                """
                SELECT window_start, trades, mean_process_time, median_process_time, median_feed_to_kafka,
                       median_kafka_to_consumer, median_consumer_to_db, p95_process_time, p99_process_time,
                       p95_feed_to_kafka, p99_feed_to_kafka, p95_kafka_to_consumer, p99_kafka_to_consumer,
                       p95_consumer_to_db, p99_consumer_to_db, negative
                FROM median_process_time_table
                """,
                """
                SELECT window_start, a.trades + a.negative, a.mean, a.p50, b.p50, c.p50, d.p50, a.p95, a.p99, b.p95, b.p99,
                       c.p95, c.p99, d.p95, d.p99, a.negative
                FROM latency_1m AS a JOIN latency_1m AS b USING (window_start) JOIN latency_1m AS c USING (window_start)
                JOIN latency_1m AS d USING (window_start)
                WHERE a.hop = 'feed_to_db' AND b.hop = 'feed_to_kafka' AND c.hop = 'kafka_to_consumer'
                    AND d.hop = 'consumer_to_db'
                """) == [])
        #expect(
            try database.differences(
                "SELECT window_start, trades, clock_skew FROM median_process_time_table",
                """
                SELECT date_trunc('minute', to_db, 'UTC'), count(*),
                       bool_or(to_db < "timestamp" OR to_kafka < "timestamp" OR to_consumer < to_kafka OR to_db < to_consumer)
                FROM trade_data_finhub GROUP BY 1
                """) == [])
        #expect(
            try database.value(
                "SELECT bool_or(clock_skew) AND sum(trades) = (SELECT count(*) FROM trade_data_finhub) FROM median_process_time_table"
            ) == "t")
    }

    @Test func `exact_process_time is exact, for the time that is asked for`() async throws {
        let database = try await Self.stored()
        #expect(
            try database.differences(
                "SELECT * FROM exact_process_time('2024-07-19 12:00Z', '2024-07-19 13:00Z')",
                """
                SELECT hop, trades, negative, mean, minimum, p50, p95, p99, maximum
                FROM (\(Self.exact("hour"))) AS exact WHERE window_start = '2024-07-19 12:00Z'
                """) == [])
        #expect(try database.rows("SELECT * FROM exact_process_time('2023-01-01', '2023-01-02')").isEmpty)
    }
}
