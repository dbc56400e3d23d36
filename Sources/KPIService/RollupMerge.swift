import Postgres
import TradeModel

/// Merges rollups into the table of their grain: one statement for all rows, sent as binary arrays.
final class RollupMerge {
    private let repeats: RepeatRule
    private let symbol = BinaryArray(of: .text)
    private let windowStart = BinaryArray(of: .timestamptz)
    private let trades = BinaryArray(of: .int8)
    private let volume = BinaryArray(of: .numeric)
    private let priceSum = BinaryArray(of: .numeric)
    private let notional = BinaryArray(of: .numeric)
    private let open = EdgeArrays()
    private let high = BinaryArray(of: .numeric)
    private let low = BinaryArray(of: .numeric)
    private let close = EdgeArrays()

    /// - Parameter repeats: how the rollups are made, which each row says.
    init(repeats: RepeatRule) {
        self.repeats = repeats
    }

    /// The columns of an edge: price, time and id.
    private struct EdgeArrays {
        let price = BinaryArray(of: .numeric)
        let time = BinaryArray(of: .timestamptz)
        let id = BinaryArray(of: .int8)

        func append(_ edge: Rollup.Edge) throws(PostgresError) {
            try price.elements.numeric(edge.price)
            try time.elements.timestamptz(edge.time)
            id.elements.int8(edge.id)
        }
    }

    /// Adds the rollups to the rows that are there, and makes the others.
    func merge(
        _ rollups: [(key: RollupKey, rollup: Rollup)], into grain: Grain, _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        for array in columns { array.reset() }
        for (key, rollup) in rollups {
            key.symbol.withBytes { symbol.elements.bytes($0) }
            try windowStart.elements.timestamptz(key.windowStart)
            trades.elements.int8(rollup.trades)
            try volume.elements.numeric(rollup.volume)
            try priceSum.elements.numeric(rollup.priceSum)
            try notional.elements.numeric(rollup.notional)
            try open.append(rollup.open)
            try high.elements.numeric(rollup.high)
            try low.elements.numeric(rollup.low)
            try close.append(rollup.close)
        }
        _ = try connection.execute(statement(for: grain), parameters: columns.map { .array($0) })
    }

    /// Has rows of which a trade was just left out say so, where they count such trades.
    func note(
        omissions: [RollupKey], in grain: Grain, _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        guard !omissions.isEmpty else { return }
        for array in [symbol, windowStart] { array.reset() }
        for key in omissions {
            key.symbol.withBytes { symbol.elements.bytes($0) }
            try windowStart.elements.timestamptz(key.windowStart)
        }
        _ = try connection.execute(
            """
            UPDATE trade_rollup_\(grain.rawValue) SET repeats = 'mixed'
            WHERE repeats = 'count'
                AND (symbol, window_start) IN (SELECT * FROM unnest($1::text[], $2::timestamptz[]))
            """, parameters: [.array(symbol), .array(windowStart)])
    }

    private var columns: [BinaryArray] {
        [
            symbol, windowStart, trades, volume, priceSum, notional, open.price, open.time, open.id, high, low,
            close.price, close.time, close.id,
        ]
    }

    private func statement(for grain: Grain) -> String {
        """
        INSERT INTO trade_rollup_\(grain.rawValue) AS kept (symbol, window_start, trades, volume, price_sum, notional,
            open, open_time, open_id, high, low, close, close_time, close_id, repeats)
        SELECT *, '\(repeats.rawValue)' FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::numeric[], $5::numeric[], $6::numeric[],
            $7::numeric[], $8::timestamptz[], $9::bigint[], $10::numeric[], $11::numeric[],
            $12::numeric[], $13::timestamptz[], $14::bigint[])
        ON CONFLICT (symbol, window_start) DO UPDATE SET
            trades = kept.trades + excluded.trades,
            volume = kept.volume + excluded.volume,
            price_sum = kept.price_sum + excluded.price_sum,
            notional = kept.notional + excluded.notional,
            (open, open_time, open_id) = (SELECT * FROM (VALUES (kept.open, kept.open_time, kept.open_id),
                (excluded.open, excluded.open_time, excluded.open_id)) AS edge (price, at, id)
                ORDER BY at, id LIMIT 1),
            high = greatest(kept.high, excluded.high),
            low = least(kept.low, excluded.low),
            (close, close_time, close_id) = (SELECT * FROM (VALUES (kept.close, kept.close_time, kept.close_id),
                (excluded.close, excluded.close_time, excluded.close_id)) AS edge (price, at, id)
                ORDER BY at DESC, id DESC LIMIT 1),
            repeats = CASE WHEN kept.repeats = excluded.repeats THEN kept.repeats ELSE 'mixed' END
        """
    }
}
