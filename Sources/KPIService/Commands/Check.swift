import Postgres

/// One comparison of what the database shows with what it should show, both as queries.
struct Check: Sendable {
    /// The table or view that is looked at.
    let name: String
    /// The columns that both queries have in common as their key, separated by commas.
    let key: String
    /// What there is.
    let found: String
    /// What there should be, of the same columns; it may ask of `found_row`, where that is faults only. Values are compared as
    /// text, places behind the point included.
    let expected: String
    /// Whether a difference may be of what is still on its way, so that a later snapshot has none.
    var maySettle = false
    /// A condition in SQL without which there is nothing to compare, and why; nil where there always is.
    var condition: (holds: String, otherwise: String)? = nil
    /// A query whose one row, if any, tells in words what the other two leave out.
    var leftOut: String? = nil

    /// Compares two queries.
    init(
        _ name: String, key: String, found: String, expected: String, maySettle: Bool = false,
        when condition: (holds: String, otherwise: String)? = nil, leavingOut leftOut: String? = nil
    ) {
        (self.name, self.key, self.found, self.expected) = (name, key, found, expected)
        (self.maySettle, self.condition, self.leftOut) = (maySettle, condition, leftOut)
    }

    /// What a check has brought.
    struct Outcome {
        var checked = 0
        var differences = 0
        /// The first differences, in words.
        var lines: [String] = []
        /// What was not compared, or why nothing was.
        var omission: String?
    }

    /// Compares inside the open transaction. All rows stay in the server; so many differences are told.
    func run(_ connection: inout PostgresConnection, telling limit: Int) throws(PostgresError) -> Outcome {
        if let condition, try connection.query("SELECT \(condition.holds)").bool(0, 0) != true {
            return Outcome(omission: condition.otherwise)
        }
        let keys = key.split(separator: ",").map { String($0.drop { $0 == " " }) }
        let place = keys.map { "'\($0)=' || coalesce(\($0)::text, 'NULL')" }.joined(separator: ", ")
        let rows = try connection.query(
            """
            WITH found_row AS (\(found)), expected_row AS (\(expected)),
            pair AS (
                SELECT concat_ws(' ', \(place)) AS place, found_row, expected_row,
                       found_row::text IS DISTINCT FROM expected_row::text AS differs
                FROM found_row FULL JOIN expected_row USING (\(key))
            ), numbered AS (
                SELECT *, count(*) FILTER (WHERE differs) OVER (ROWS UNBOUNDED PRECEDING) AS place_among FROM pair
            )
            SELECT count(*), count(*) FILTER (WHERE differs),
                string_agg(place || ': ' || CASE
                    WHEN found_row::text IS NULL THEN 'is missing: ' || to_json(expected_row)::text
                    WHEN expected_row::text IS NULL THEN 'should not be there: ' || to_json(found_row)::text
                    ELSE (SELECT string_agg(format('%s is %s and should be %s', name, there.value, wanted.value), ', ')
                        FROM json_each_text(to_json(found_row)) AS there (name, value)
                        JOIN json_each_text(to_json(expected_row)) AS wanted (name, value) USING (name)
                        WHERE there.value IS DISTINCT FROM wanted.value)
                    END, E'\\n') FILTER (WHERE differs AND place_among <= \(limit))
            FROM numbered
            """)
        var outcome = Outcome(
            checked: Int(rows.int64(0, 0) ?? 0), differences: Int(rows.int64(0, 1) ?? 0),
            lines: (rows.string(0, 2) ?? "").split(separator: "\n").map { "\(name): \($0)" })
        if let leftOut {
            let told = try connection.query(leftOut)
            if told.rowCount > 0 { outcome.omission = told.string(0, 0) }
        }
        return outcome
    }
}
