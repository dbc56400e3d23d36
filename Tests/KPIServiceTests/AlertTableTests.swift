import DatabaseTestSupport
import Postgres
import Testing

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct AlertTableTests {
    private static func insert(_ columns: String, _ values: String) -> String {
        "INSERT INTO threshold (id, name, unit, \(columns)) VALUES (201, 'mine', '', \(values))"
    }

    private static let badRules = [
        ("kind, value", "'lag_below', 1", "a rule's kind is one of those in docs/alerts.md"),
        ("kind, value, closes_at", "'rate_above', 4, 5", "an above rule closes at its limit or below, but not below 0"),
        (
            "kind, value, closes_at", "'rate_above', 4, -1",
            "an above rule closes at its limit or below, but not below 0"
        ),
        ("kind, value, closes_at", "'rate_below', 4, 3", "a below rule closes at its limit or above"),
        ("kind, value, closes_at", "'rate_below', 4, 'NaN'", "a below rule closes at its limit or above"),
        ("kind, value", "'rate_above', -1", "threshold_value_check"),
        ("kind, value", "'rate_above', 'NaN'", "threshold_value_check"),
        ("kind, value, severity", "'rate_above', 1, 'loud'", "a rule's severity is info, warning or critical"),
        ("kind, value, severity", "'rate_above', 1, NULL", "a rule's severity is info, warning or critical"),
        ("kind, value, enabled", "'rate_above', 1, NULL", "a rule is enabled or not"),
        ("kind, value, open_after", "'rate_above', 1, '-1 s'", "a rule opens and closes after 0 seconds to 1 day"),
        ("kind, value, close_after", "'rate_above', 1, '2 days'", "a rule opens and closes after 0 seconds to 1 day"),
        ("kind, value, look_back", "'rate_above', 1, '0'", "a rule looks back 1 second to 1 hour, in whole seconds"),
        (
            "kind, value, look_back", "'rate_above', 1, '1.5 s'",
            "a rule looks back 1 second to 1 hour, in whole seconds"
        ),
        ("kind, value, look_back", "'rate_above', 1, '2 h'", "a rule looks back 1 second to 1 hour, in whole seconds"),
        ("kind, value", "'symbol_stale_above', 1", "a rule about silence looks back 1 hour to 7 days"),
        ("kind, value, symbols", "'kpi_lag_above', 1, '{A}'", "only rules about rates and silence are of symbols"),
        ("kind, value, symbols", "'rate_above', 1, '{}'", "a rule's symbols are a list that is not empty"),
        ("kind, value, symbols", "'rate_above', 1, '{A,NULL}'", "a rule's symbols are a list that is not empty"),
        ("kind, value, symbols", "'rate_above', 1, '{\"\"}'", "a rule's symbols are a list that is not empty"),
    ]

    @Test func `a bad rule is refused, and says why`() async throws {
        try await TestDatabase.run { database in
            for (columns, values, reason) in Self.badRules {
                let error = #expect(throws: PostgresError.self, "\(values)") {
                    try database.execute(Self.insert(columns, values))
                }
                #expect(error?.message.contains("\"\(reason)\"") == true, "\(values): \(error as Any)")
            }
        }
    }

    @Test func `rows 1 to 3 are no rules and stay so, and other rows may be none`() async throws {
        try await TestDatabase.run { database in
            #expect(try database.rows("SELECT id FROM threshold WHERE kind IS NULL") == [["1"], ["2"], ["3"]])
            #expect(throws: PostgresError.self) {
                try database.execute("UPDATE threshold SET kind = 'rate_above' WHERE id = 2")
            }
            try database.execute(Self.insert("value", "7"))
            #expect(throws: PostgresError.self) {
                try database.execute("UPDATE threshold SET value = 0 WHERE id = 201")
            }
        }
    }

    @Test func `each kind of this build is one of the table, and has a rule at first`() async throws {
        try await TestDatabase.run { database in
            let kinds = try database.rows("SELECT kind FROM threshold WHERE kind IS NOT NULL ORDER BY 1").map { $0[0] }
            #expect(kinds == AlertKind.allCases.map(\.rawValue).sorted())
        }
    }

    @Test func `one alert a rule and symbol is open at most`() async throws {
        try await TestDatabase.run { database in
            let insert = """
                INSERT INTO alert (rule_id, rule, kind, severity, symbol, value, limit_value, closes_at, since, opened_at)
                VALUES (1, 'r', 'k', 's', %, 1, 1, 1, now(), now())
                """
            for symbol in ["NULL", "'A'", "'B'"] {
                let sql = insert.replacing("%", with: symbol)
                try database.execute(sql)
                let error = #expect(throws: PostgresError.self) { try database.execute(sql) }
                #expect(error?.sqlState == "23505")
            }
            try database.execute("UPDATE alert SET state = 'closed', closed_at = now()")
            try database.execute(insert.replacing("%", with: "'A'"))
        }
    }
}
