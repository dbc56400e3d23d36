import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

/// Each view beside plain SQL over the raw rows.
@Suite(.timeLimit(.minutes(10))) struct KPIWindowTests {
    /// The start of a trade's window of a threshold.
    private static func window(_ threshold: Int) -> String {
        """
        to_timestamp(floor(extract(epoch FROM "timestamp") / (SELECT value FROM threshold WHERE id = \(threshold)))
            * (SELECT value FROM threshold WHERE id = \(threshold)))
        """
    }

    private static let rates = """
        SELECT \(window(3)) AS window_start, count(*) AS trades,
               (count(*) / (SELECT value FROM threshold WHERE id = 3))::text AS trades_per_second
        FROM trade_data_finhub GROUP BY 1
        """

    private static let symbolCounts = """
        SELECT window_start, cardinality(names) AS symbols, expected, greatest(expected - cardinality(names), 0) AS missing,
               cardinality(names) >= expected AS complete, array_to_string(names, ', ') AS symbols_seen,
               (SELECT string_agg(DISTINCT symbol, ', ' ORDER BY symbol) FROM trade_data_finhub
                WHERE symbol <> ALL (names) AND date_trunc('hour', "timestamp", 'UTC') > window_start - interval '1 day'
                    AND date_trunc('hour', "timestamp", 'UTC') < window_start + interval '1 day') AS symbols_missing
        FROM (SELECT \(window(2)) AS window_start, array_agg(DISTINCT symbol ORDER BY symbol) AS names
              FROM trade_data_finhub GROUP BY 1) AS windows,
             (SELECT value AS expected FROM threshold WHERE id = 1) AS threshold
        """

    @Test(arguments: [[4, 30, 1], [3, 7, 5], [5, 60, 60], [2, 1, 3601], [1, 86_400, 40_000]])
    func `windows of any length equal plain SQL over the trades, in any range and order`(
        _ thresholds: [Int]
    ) async throws {
        let database = try await TestDatabase()
        try database.store(kpiTrades(3000, seed: UInt64(thresholds[1])))
        try database.setThresholds(thresholds)
        let views = [
            ("window_start, trades, trades_per_second::text", "rate_of_transaction", Self.rates),
            (
                "window_start, symbols, expected, missing, complete, symbols_seen, symbols_missing",
                "symbol_count_per_30s", Self.symbolCounts
            ),
        ]
        for (columns, view, plain) in views {
            let conditions = [
                "", "WHERE window_start >= '2024-07-19 10:00Z' AND window_start < '2024-07-19 10:02Z'",
                "WHERE window_start < '2000-01-01'", "WHERE window_start = '2024-07-19 10:00Z'",
                "ORDER BY window_start DESC LIMIT 20", "ORDER BY window_start LIMIT 3",
            ]
            for condition in conditions {
                #expect(
                    try database.differences(
                        "SELECT \(columns) FROM \(view) \(condition)",
                        "SELECT * FROM (\(plain)) AS windows \(condition)") == [], "\(view) \(condition)")
            }
            #expect(try database.value("SELECT count(*) > 1 FROM \(view)") == "t")
        }
    }

    @Test func `figures a symbol, and candles of all grains, equal plain SQL over the trades`() async throws {
        let database = try await TestDatabase()
        try database.store(kpiTrades(2000, seed: 3))
        let figures = """
            count(*) AS trades, sum(volume)::text AS volume, (sum(price * volume) / nullif(sum(volume), 0))::text AS vwap,
            avg(price)::text AS average_price, max(price) AS high, min(price) AS low
            """
        #expect(
            try database.differences(
                """
                SELECT symbol, trades, total_volume::text, vwap::text, average_price::text, maximum_price, minimum_price,
                       average_volume::text
                FROM average_volume_per_symbol
                """, "SELECT symbol, \(figures), avg(volume)::text FROM trade_data_finhub GROUP BY 1") == [])
        for (grain, unit) in [("1s", "second"), ("1m", "minute"), ("1h", "hour")] {
            #expect(
                try database.differences(
                    """
                    SELECT symbol, window_start, trades, volume::text, vwap::text, average_price::text, high, low, open, close,
                           spread_percent
                    FROM candle_\(grain)
                    """,
                    """
                    SELECT symbol, date_trunc('\(unit)', "timestamp", 'UTC'), \(figures),
                           (array_agg(price ORDER BY "timestamp", id))[1],
                           (array_agg(price ORDER BY "timestamp" DESC, id DESC))[1],
                           (trim_scale(max(price)) - trim_scale(min(price))) / trim_scale(min(price)) * 100
                    FROM trade_data_finhub GROUP BY 1, 2
                    """) == [], "\(grain)")
        }
    }

    @Test func `staleness tells of each symbol's last trade, whatever is to come`() async throws {
        let database = try await TestDatabase()
        try database.store(kpiTrades(2000, seed: 4))
        #expect(
            try database.differences(
                "SELECT symbol, last_trade, last_price FROM symbol_staleness",
                """
                SELECT DISTINCT ON (symbol) symbol, "timestamp", price FROM trade_data_finhub
                WHERE date_trunc('hour', "timestamp", 'UTC') <= now() ORDER BY symbol, "timestamp" DESC, id DESC
                """) == [])
        #expect(try database.value("SELECT count(*) FROM symbol_staleness") == "5")
        #expect(try database.value("SELECT bool_and(age = now() - last_trade) FROM symbol_staleness") == "t")
    }

    @Test func `windows in which a feed was away are marked`() async throws {
        let database = try await TestDatabase()
        try database.store(kpiTrades(2000, seed: 5))
        try database.execute(
            """
            INSERT INTO feed_event (id, at, source, sequence, kind, gap_from, kafka_partition, kafka_offset) VALUES
                (1, '2024-07-19 09:00Z', 'one', 1, 'connected', NULL, 0, 1),
                (2, '2024-07-19 10:00:20Z', 'one', 2, 'disconnected', '2024-07-19 10:00:05.5Z', 0, 2),
                (3, '2024-07-19 10:00:40Z', 'one', 3, 'connected', NULL, 0, 3),
                (4, '2024-07-19 10:01:10Z', 'one', 4, 'counters', NULL, 0, 4),
                (5, '2024-07-19 10:01:15Z', 'one', 5, 'connected', NULL, 0, 5),
                (6, '2024-07-17 10:00:00Z', 'gone', 1, 'connected', NULL, 0, 6),
                (7, '2024-07-18 10:00:30Z', 'gone', 2, 'disconnected', '2024-07-18 10:00:25Z', 0, 7)
            """)
        // Of a source that has said nothing for a day, the gap ends a day after its last word.
        let gaps = """
            (VALUES (timestamptz '2024-07-19 10:00:05.5Z', timestamptz '2024-07-19 10:00:40Z'),
                ('2024-07-19 10:01:10Z', '2024-07-19 10:01:15Z'), ('2024-07-18 10:00:25Z', '2024-07-19 10:00:30Z')
            ) AS gap (gap_from, gap_to)
            """
        let views = [
            ("candle_1s", "1 second"), ("candle_1m", "1 minute"), ("candle_1h", "1 hour"),
            ("rate_of_transaction", "1 second"), ("symbol_count_per_30s", "30 seconds"),
        ]
        for (view, length) in views {
            #expect(
                try database.rows(
                    """
                    SELECT window_start FROM \(view) AS windows WHERE incomplete <> EXISTS (
                        SELECT FROM \(gaps)
                        WHERE gap_from < windows.window_start + interval '\(length)' AND gap_to > windows.window_start)
                    """) == [], "\(view)")
            #expect(
                try database.value("SELECT bool_or(incomplete) AND NOT bool_and(incomplete) FROM \(view)") == "t",
                "\(view)"
            )
        }
    }

    @Test func `without gaps no window is marked`() async throws {
        let database = try await TestDatabase()
        try database.store(kpiTrades(10, seed: 6))
        #expect(try database.value("SELECT bool_or(incomplete) FROM candle_1m") == "f")
    }
}
