import Postgres

/// How many rows of the rollups and of plain SQL over the raw rows differ.
func countKPIDifferences(_ connection: inout PostgresConnection) throws -> Int {
    var count = 0
    for (table, unit) in [("1s", "second"), ("1m", "minute"), ("1h", "hour")] {
        let result = try connection.query(
            """
            WITH plain AS (
                SELECT symbol, date_trunc('\(unit)', "timestamp") AS window_start, count(*) AS trades, sum(volume),
                    sum(price), sum(price * volume), max(price), min(price)
                FROM trade_data_finhub GROUP BY 1, 2),
            kept AS (
                SELECT symbol, window_start, trades, volume, price_sum, notional, high, low FROM trade_rollup_\(table)),
            differences AS (
                (SELECT 'missing', * FROM plain EXCEPT SELECT 'missing', * FROM kept)
                UNION ALL (SELECT 'surplus', * FROM kept EXCEPT SELECT 'surplus', * FROM plain))
            SELECT count(*) FROM differences
            """)
        count += Int(result.int64(0, 0) ?? -1)
    }
    return count
}

extension PostgresConnection {
    /// How many records all readers have stored, by their positions.
    mutating func storedRecords() throws -> Int {
        Int(try query("SELECT coalesce(sum(next_offset), 0) FROM offset_ledger").int64(0, 0) ?? 0)
    }
}
