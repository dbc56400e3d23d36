import TradeModel

extension Check {
    /// All that is compared, in the order in which it is told.
    static func all(_ range: HourRange, repeats: RepeatRule) -> [Check] {
        conservation(range) + Grain.allCases.map { rollups($0, range, repeats) } + views(range, repeats)
            + latencies(range)
    }

    /// A rollup table, and its candles as one more column, against the trades, of which both are made at once. What is of days
    /// that retention has taken is left out.
    private static func rollups(_ grain: Grain, _ range: HourRange, _ repeats: RepeatRule) -> Check {
        let table = RollupSQL.table(grain)
        let view = "candle_\(grain.rawValue)"
        let isMeant = "\(range.contains("window_start")) AND \(RollupSQL.isKept("window_start", grain))"
        func candle(_ figures: String) -> String {
            "ROW (open, high, low, close, volume, trades, \(figures))::text AS \(view)"
        }
        return Check(
            table, key: "symbol, window_start",
            found: """
                SELECT \(RollupSQL.columns), \(view)
                FROM (SELECT * FROM \(table) WHERE \(isMeant)) AS kept FULL JOIN (
                    SELECT symbol, window_start, \(candle("vwap, average_price, spread_percent")) FROM \(view) WHERE \(isMeant)
                ) AS candle USING (symbol, window_start)
                """,
            expected: """
                SELECT \(RollupSQL.columns),
                    \(candle("notional / nullif(volume, 0), price_sum / trades, (high - low) / low * 100"))
                FROM (
                    SELECT \(RollupSQL.rollups(grain)), min(rule) AS repeats FROM \(trades(grain, range, repeats)) GROUP BY 1, 2
                ) AS made
                """)
    }

    /// The trades that count, each with the rule of its window's row: where that says nothing, or is mixed, the one that is set.
    private static func trades(_ grain: Grain, _ range: HourRange, _ repeats: RepeatRule) -> String {
        """
        (SELECT trade.*, rule FROM counted_trade AS trade
            LEFT JOIN \(RollupSQL.table(grain)) AS kept ON kept.symbol = trade.symbol COLLATE "default"
                AND kept.window_start = \(RollupSQL.window(grain, of: "\"timestamp\""))
            CROSS JOIN LATERAL (
                SELECT coalesce(nullif(kept.repeats, 'mixed'), '\(repeats.rawValue)') AS rule) AS rules
            WHERE \(range.contains("\"timestamp\"")) AND \(RollupSQL.isKept("\"timestamp\"", grain))
                AND (repeat = 0 OR rule = 'count')) AS counted
        """
    }

    /// The views on the rollups, against the trades.
    private static func views(_ range: HourRange, _ repeats: RepeatRule) -> [Check] {
        let wholeHistory = """
            NOT EXISTS (SELECT FROM trade_rollup_1h
                WHERE NOT (\(range.contains("window_start")) AND \(RollupSQL.isKept("window_start", .hour))))
            AND NOT EXISTS (SELECT FROM counted_trade WHERE NOT (\(range.contains("\"timestamp\""))))
            """
        // The order is the view's choice.
        let sorted = "ARRAY(SELECT unnest(string_to_array(symbols_seen, ', ')) ORDER BY 1)"
        return [
            Check(
                "average_volume_per_symbol", key: "symbol",
                found: """
                    SELECT symbol, average_volume, trades, total_volume, average_price, minimum_price, maximum_price, vwap
                    FROM average_volume_per_symbol
                    """,
                expected: """
                    SELECT symbol COLLATE "default" AS symbol, sum(volume) / count(*) AS average_volume, count(*) AS trades,
                        sum(volume) AS total_volume, sum(price) / count(*) AS average_price,
                        trim_scale(min(price)) AS minimum_price, trim_scale(max(price)) AS maximum_price,
                        sum(price * volume) / nullif(sum(volume), 0) AS vwap
                    FROM \(trades(.hour, range, repeats)) GROUP BY 1
                    """,
                when: (wholeHistory, "it is over all of the time, and the range, or what retention has left, is not")),
            Check(
                "rate_of_transaction", key: "window_start",
                found: """
                    SELECT window_start, trades, trades_per_second FROM rate_of_transaction
                    WHERE \(isInside("(SELECT threshold_window(3))", range))
                    """,
                expected: """
                    SELECT * FROM (
                        SELECT date_bin((SELECT threshold_window(3)), "timestamp", 'epoch') AS window_start, count(*) AS trades,
                            count(*) / (SELECT value FROM threshold WHERE id = 3) AS trades_per_second
                        FROM \(trades(.second, range, repeats)) GROUP BY 1) AS rate
                    WHERE \(isInside("(SELECT threshold_window(3))", range))
                    """),
            Check(
                "symbol_count_per_30s", key: "window_start",
                found: """
                    SELECT window_start, symbols, expected, missing, complete,
                        \(sorted) AS symbols_seen
                    FROM symbol_count_per_30s
                    WHERE \(isInside("(SELECT threshold_window(2))", range))
                    """,
                expected: """
                    SELECT window_start, symbols, wanted.value AS expected, greatest(wanted.value - symbols, 0) AS missing,
                        symbols >= wanted.value AS complete, \(sorted) AS symbols_seen
                    FROM (
                        SELECT date_bin((SELECT threshold_window(2)), "timestamp", 'epoch') AS window_start,
                            count(DISTINCT symbol) AS symbols,
                            string_agg(DISTINCT symbol, ', ') AS symbols_seen
                        FROM \(trades(.second, range, repeats)) GROUP BY 1) AS seen,
                        (SELECT value FROM threshold WHERE id = 1) AS wanted
                    WHERE \(isInside("(SELECT threshold_window(2))", range))
                    """),
        ]
    }

    /// Whether a window of this length is inside of the range, and of days that are kept.
    private static func isInside(_ length: String, _ range: HourRange) -> String {
        let last = "window_start + \(length) - interval '1 microsecond'"
        return """
            window_start >= \(range.from.sql) AND window_start + \(length) <= \(range.to.sql)
            AND \(RollupSQL.isKept("window_start", .second)) AND \(RollupSQL.isKept("(\(last))", .second))
            """
    }
}
