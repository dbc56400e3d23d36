import DatabaseTestSupport

extension TestDatabase {
    /// What the rollups of all grains and plain SQL over the rows do not have in common.
    func rollupDifferences() throws -> [[String]] {
        try [("1s", "second"), ("1m", "minute"), ("1h", "hour")].flatMap { table, unit in
            try rows(
                """
                WITH plain AS (
                    SELECT symbol, date_trunc('\(unit)', "timestamp") AS window_start, count(*) AS trades, sum(volume),
                        sum(price), sum(price * volume), max(price), min(price)
                    FROM trade_data_finhub GROUP BY 1, 2),
                kept AS (
                    SELECT symbol, window_start, trades, volume, price_sum, notional, high, low
                    FROM trade_rollup_\(table))
                (SELECT '\(table) missing', * FROM plain EXCEPT SELECT '\(table) missing', * FROM kept)
                UNION ALL
                (SELECT '\(table) surplus', * FROM kept EXCEPT SELECT '\(table) surplus', * FROM plain)
                """)
        }
    }
}
