import Postgres
import TradeModel

/// Measures rules: one query a rule, whatever the number of symbols.
struct AlertMeasures {
    /// The database's time.
    let now: Timestamp
    /// Up to when trades count: the rollups are complete up to here, and what comes late has had a while to come.
    let until: Timestamp?
    let log: LogEnds?
    let symbols: [KnownSymbols.Symbol]

    /// Whether there is what a rule of this kind needs.
    func canMeasure(_ kind: AlertKind) -> Bool {
        switch kind.source {
        case .rollups: until != nil
        case .log: log != nil
        case .batches: true
        }
    }

    /// What a rule finds, by symbol; what is not in it is within the limits.
    func read(
        _ rule: AlertRule, _ kind: AlertKind, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [String: AlertReading] {
        let rows = try connection.query(
            Self.beginning + kind.measure + Self.end, parameters: parameters(rule, kind.source))
        var readings: [String: AlertReading] = [:]
        for row in 0..<rows.rowCount {
            readings[rows.string(row, 0)!] = AlertReading(
                value: rows.string(row, 1), exceeds: rows.bool(row, 2)!, clears: rows.bool(row, 3)!)
        }
        return readings
    }

    private func parameters(_ rule: AlertRule, _ source: AlertKind.Source) -> [PostgresParameter] {
        let names = BinaryArray(of: .text)
        let figures = (0..<5).map { _ in BinaryArray(of: .int8) }
        for symbol in source == .rollups ? symbols : [] {
            names.elements.text(symbol.name)
            let values = [
                symbol.openFor, symbol.silence, symbol.silenceSinceOpening, symbol.patience, symbol.age,
            ]
            for (figure, value) in zip(figures, values) { figure.elements.int8(value) }
        }
        let ends = (0..<2).map { _ in BinaryArray(of: .int8) }
        for (low, high) in source == .log ? log?.partitions ?? [] : [] {
            ends[0].elements.int8(low)
            ends[1].elements.int8(high)
        }
        return [.integer(rule.id)] + edges(rule, source).map { .text("\($0)") } + [.array(names)]
            + (figures + ends).map { .array($0) } + [.text(log?.cluster ?? ""), .text(log?.topic ?? "")]
    }

    /// Where the stretch that a rule measures ends and begins, and between which two moments it is whole minutes.
    private func edges(_ rule: AlertRule, _ source: AlertKind.Source) -> [Timestamp] {
        let minute: Int64 = 60_000_000
        let end = source == .rollups ? (until ?? now).microseconds : now.microseconds
        let start = end - Int64(rule.lookBack / .microseconds(1))
        let firstMinute = (start + minute - 1) / minute * minute
        let lastMinute = end / minute * minute
        let (from, to) = firstMinute < lastMinute ? (firstMinute, lastMinute) : (end, end)
        return [end, start, from, to].map { Timestamp(microseconds: $0) }
    }

    /// What the queries of `AlertKind` build upon. What is not used costs nothing.
    private static let beginning = """
        WITH rule AS (
            SELECT value AS bound, coalesce(closes_at, value) AS closes_at, symbols, kind LIKE '%\\_below' AS is_below,
                (extract(epoch FROM look_back) * 1000000)::bigint AS span,
                $2::timestamptz, $3::timestamptz, $4::timestamptz, $5::timestamptz
            FROM threshold WHERE id = $1::int
        ), known AS (
            SELECT * FROM unnest($6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
                AS each (symbol, open_for, silence, silence_since_opening, patience, age)
        ), log AS (
            SELECT partition - 1 AS partition, low, high, $14::text AS cluster_id, $15::text AS topic
            FROM unnest($12::bigint[], $13::bigint[]) WITH ORDINALITY AS each (low, high, partition)
        ), measure (symbol, value, clearing) AS (

        """

    private static let end = """

        )
        SELECT coalesce(symbol, ''), trim_scale(round(value, 6)),
            coalesce(CASE WHEN is_below THEN value < bound ELSE value > bound END, false),
            coalesce(CASE WHEN is_below THEN clearing >= rule.closes_at ELSE clearing <= rule.closes_at END, true)
        FROM measure, rule
        """
}
