import Postgres

/// A rule of the table `threshold`, as far as the database does not apply it by itself.
struct AlertRule: Equatable {
    let id: Int64
    /// nil for one that this build does not know.
    let kind: AlertKind?
    let openAfter: Duration
    let closeAfter: Duration
    let lookBack: Duration
    /// Another one after each change of the row.
    let version: String

    init(
        id: Int64, kind: AlertKind?, openAfter: Duration = .zero, closeAfter: Duration = .zero,
        lookBack: Duration = .seconds(60), version: String = ""
    ) {
        self.id = id
        self.kind = kind
        self.openAfter = openAfter
        self.closeAfter = closeAfter
        self.lookBack = lookBack
        self.version = version
    }

    /// The rules that are enabled.
    static func enabled(_ connection: inout PostgresConnection) throws(PostgresError) -> [AlertRule] {
        let rows = try connection.query(
            """
            SELECT id, kind, (extract(epoch FROM open_after) * 1000000)::bigint,
                (extract(epoch FROM close_after) * 1000000)::bigint,
                (extract(epoch FROM look_back) * 1000000)::bigint, xmin::text
            FROM threshold WHERE kind IS NOT NULL AND enabled ORDER BY id
            """)
        return (0..<rows.rowCount).map { row in
            AlertRule(
                id: rows.int64(row, 0)!, kind: AlertKind(rawValue: rows.string(row, 1)!),
                openAfter: .microseconds(rows.int64(row, 2)!), closeAfter: .microseconds(rows.int64(row, 3)!),
                lookBack: .microseconds(rows.int64(row, 4) ?? 0), version: rows.string(row, 5)!)
        }
    }
}

/// What alerts are apart by: a rule, and a symbol or, where that is empty, all together.
struct AlertSubject: Hashable {
    let rule: Int64
    let symbol: String
}
