import TradeModel

/// What rollups are, in SQL: the same values, digit for digit, as `Rollup` makes.
enum RollupSQL {
    /// The columns of a rollup table.
    static let columns = """
        symbol, window_start, trades, volume, price_sum, notional, open, open_time, open_id, high, low, close, close_time,
        close_id, repeats
        """

    static func table(_ grain: Grain) -> String { "trade_rollup_\(grain.rawValue)" }

    /// The start of the window that a moment falls into.
    static func window(_ grain: Grain, of moment: String) -> String {
        "date_bin('\(grain.microseconds / 1_000_000) seconds', \(moment), 'epoch')"
    }

    /// The rollups of a grain, but for the column `repeats`, made of trades. What is sorted in the same way is sorted once.
    static func rollups(_ grain: Grain) -> String {
        """
        symbol COLLATE "default" AS symbol, \(window(grain, of: "\"timestamp\"")) AS window_start, count(*) AS trades,
        sum(volume) AS volume, sum(price) AS price_sum, sum(price * volume) AS notional,
        (array_agg(price ORDER BY "timestamp", id))[1] AS open, min("timestamp") AS open_time,
        (array_agg(id ORDER BY "timestamp", id))[1] AS open_id,
        trim_scale(max(price)) AS high, trim_scale(min(price)) AS low,
        (array_agg(price ORDER BY "timestamp", id))[count(*)::int] AS close, max("timestamp") AS close_time,
        (array_agg(id ORDER BY "timestamp", id))[count(*)::int] AS close_id
        """
    }

    /// The rollups of a grain, but for the column `repeats`, made of finer ones.
    static func sums(_ grain: Grain) -> String {
        """
        symbol, \(window(grain, of: "window_start")) AS window_start, sum(trades)::bigint AS trades, sum(volume) AS volume,
        sum(price_sum) AS price_sum, sum(notional) AS notional,
        (array_agg(open ORDER BY open_time, open_id))[1] AS open, min(open_time) AS open_time,
        (array_agg(open_id ORDER BY open_time, open_id))[1] AS open_id, max(high) AS high, min(low) AS low,
        (array_agg(close ORDER BY close_time DESC, close_id DESC))[1] AS close, max(close_time) AS close_time,
        (array_agg(close_id ORDER BY close_time DESC, close_id DESC))[1] AS close_id
        """
    }

    /// Whether the rows of these tables of the day that a moment falls into are all still there.
    static func isKept(_ moment: String, in tables: String...) -> String {
        """
        NOT EXISTS (SELECT FROM forgotten_day WHERE day = (\(moment) AT TIME ZONE 'UTC')::date
            AND daily_table IN (\(tables.map { "'\($0)'" }.joined(separator: ", "))))
        """
    }

    /// Whether a moment's trades and the rollups of a grain are all still there.
    static func isKept(_ moment: String, _ grain: Grain) -> String {
        isKept(moment, in: "trade_data_finhub", table(grain))
    }
}
