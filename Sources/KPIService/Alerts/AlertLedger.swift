import Postgres
import TradeModel

/// Reads and writes alerts within the transaction of an evaluation, whose row lock keeps everybody else out.
struct AlertLedger {
    /// A change of a rule and symbol.
    struct Change {
        let subject: AlertSubject
        let reading: AlertReading
        let action: AlertAction
    }

    /// An alert that was opened or closed.
    struct Written {
        let id: Int64
        let rule: String
        let severity: String
        let symbol: String?
        let value: String?
        let isOpening: Bool
    }

    let now: Timestamp

    /// What is known from before.
    func standings(
        _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [AlertSubject: AlertStanding] {
        let rows = try connection.query(
            """
            SELECT rule_id, symbol, false, (extract(epoch FROM since) * 1000000)::bigint FROM alert_pending
            UNION ALL
            SELECT rule_id, coalesce(symbol, ''), true, (extract(epoch FROM clear_since) * 1000000)::bigint
            FROM alert WHERE state <> 'closed' ORDER BY 3
            """)
        var standings: [AlertSubject: AlertStanding] = [:]
        for row in 0..<rows.rowCount {
            let subject = AlertSubject(rule: rows.int64(row, 0)!, symbol: rows.string(row, 1)!)
            let since = rows.int64(row, 3).map { Timestamp(microseconds: $0) }
            standings[subject] =
                rows.bool(row, 2)! ? .open(clearSince: since) : since.map { .pending(since: $0) } ?? .dismissed
        }
        return standings
    }

    /// Writes what has changed, and closes what no enabled rule is about any more.
    func write(
        _ changes: [Change], _ rules: [AlertRule], _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [Written] {
        let known = "{\(rules.map { String($0.id) }.joined(separator: ","))}"
        try connection.execute(
            "DELETE FROM alert_pending WHERE rule_id <> ALL ($1::int[])", parameters: [.text(known)])
        var written = try closeAbandoned(known, &connection)
        let (open, pending, clear, close, forget) = (Rows(), Rows(), Rows(), Rows(), Rows())
        for change in changes {
            switch change.action {
            case .open(let since): try open.append(change, since)
            case .setPending(let since): try pending.append(change, since)
            case .setClear(let since): try clear.append(change, since)
            case .close: try close.append(change, now)
            case .forget: try forget.append(change, now)
            }
        }
        try execute(Self.setPending, pending, columns: 3, &connection)
        try execute(Self.setClear, clear, columns: 3, &connection)
        // An alert takes the place of what was pending.
        for rows in [forget, open] { try execute(Self.forget, rows, columns: 2, &connection) }
        written += try transition(Self.close, close, isOpening: false, &connection)
        written += try transition(Self.open, open, isOpening: true, &connection)
        return written
    }

    /// Alerts of rules that are gone, disabled, or of another kind now.
    private func closeAbandoned(
        _ known: String, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [Written] {
        let rows = try connection.query(
            """
            WITH closed AS (
                UPDATE alert SET state = 'closed', closed_at = $2::timestamptz, closed_by = 'a changed rule'
                WHERE state <> 'closed' AND NOT EXISTS (SELECT FROM threshold AS rule
                    WHERE rule.id = rule_id AND rule.id = ANY ($1::int[]) AND rule.kind = alert.kind)
                RETURNING id, rule, severity, symbol
            ), told AS (
                INSERT INTO alert_transition (alert_id, state, at, by)
                SELECT id, 'closed', $2, 'a changed rule' FROM closed ORDER BY id
            )
            SELECT id, rule, severity, symbol, NULL FROM closed ORDER BY id
            """, parameters: [.text(known), .text("\(now)")])
        return Self.written(rows, isOpening: false)
    }

    private func execute(
        _ sql: String, _ rows: Rows, columns: Int, _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        guard rows.rules.count > 0 else { return }
        try connection.execute(sql, parameters: Array(rows.parameters.prefix(columns)))
    }

    private func transition(
        _ sql: String, _ rows: Rows, isOpening: Bool, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [Written] {
        guard rows.rules.count > 0 else { return [] }
        let result = try connection.query(sql, parameters: rows.parameters + [.text("\(now)")])
        return Self.written(result, isOpening: isOpening)
    }

    private static func written(_ rows: borrowing PostgresResult, isOpening: Bool) -> [Written] {
        var written: [Written] = []
        for row in 0..<rows.rowCount {
            written.append(
                Written(
                    id: rows.int64(row, 0)!, rule: rows.string(row, 1)!, severity: rows.string(row, 2)!,
                    symbol: rows.string(row, 3), value: rows.string(row, 4), isOpening: isOpening))
        }
        return written
    }

    /// Rows of `unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[])`.
    private struct Rows {
        let rules = BinaryArray(of: .int8)
        let symbols = BinaryArray(of: .text)
        let times = BinaryArray(of: .timestamptz)
        let values = BinaryArray(of: .text)

        func append(_ change: Change, _ time: Timestamp?) throws(PostgresError) {
            rules.elements.int8(change.subject.rule)
            symbols.elements.text(change.subject.symbol)
            if let time { try times.elements.timestamptz(time) } else { times.elements.null() }
            if let value = change.reading.value { values.elements.text(value) } else { values.elements.null() }
        }

        var parameters: [PostgresParameter] { [rules, symbols, times, values].map { .array($0) } }
    }

    private static let setPending = """
        INSERT INTO alert_pending (rule_id, symbol, since)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[])
        ON CONFLICT (rule_id, symbol) DO UPDATE SET since = excluded.since
        """

    private static let forget = """
        DELETE FROM alert_pending AS pending USING unnest($1::bigint[], $2::text[]) AS each (rule, symbol)
        WHERE pending.rule_id = each.rule AND pending.symbol = each.symbol
        """

    private static let setClear = """
        UPDATE alert SET clear_since = each.time
        FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS each (rule, symbol, time)
        WHERE alert.rule_id = each.rule AND coalesce(alert.symbol, '') = each.symbol AND state <> 'closed'
        """

    private static let open = """
        WITH opened AS (
            INSERT INTO alert (rule_id, rule, kind, severity, symbol, value, limit_value, closes_at, since, opened_at)
            SELECT rule.id, rule.name, rule.kind, rule.severity, nullif(each.symbol, ''), each.value::numeric,
                rule.value, coalesce(rule.closes_at, rule.value), each.since, $5::timestamptz
            FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) AS each (rule, symbol, since, value)
                JOIN threshold AS rule ON rule.id = each.rule
            ORDER BY rule.id, each.symbol
            RETURNING id, rule, severity, symbol, value
        ), told AS (
            INSERT INTO alert_transition (alert_id, state, at, value)
            SELECT id, 'opened', $5, value FROM opened ORDER BY id
        )
        SELECT * FROM opened ORDER BY id
        """

    private static let close = """
        WITH closed AS (
            UPDATE alert SET state = 'closed', closed_at = each.time
            FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) AS each (rule, symbol, time, value)
            WHERE alert.rule_id = each.rule AND coalesce(alert.symbol, '') = each.symbol AND state <> 'closed'
            RETURNING alert.id, alert.rule, alert.severity, alert.symbol, each.value::numeric AS value
        ), told AS (
            INSERT INTO alert_transition (alert_id, state, at, value)
            SELECT id, 'closed', $5::timestamptz, value FROM closed ORDER BY id
        )
        SELECT * FROM closed ORDER BY id
        """
}
