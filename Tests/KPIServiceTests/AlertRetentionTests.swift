import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import Testing

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct AlertRetentionTests {
    /// 2024-07-19, in days since 1970.
    private static let today = 19_923

    /// An alert of each hour of the last ten days that closed after half an hour, all of them published; and two old ones that
    /// have not closed.
    private static func filled() async throws -> TestDatabase {
        let database = try await TestDatabase()
        let columns =
            "rule_id, rule, kind, severity, value, limit_value, closes_at, since, opened_at, state, acknowledged_at, "
            + "acknowledged_by, closed_at"
        try database.execute(
            """
            INSERT INTO alert (\(columns))
            SELECT 1, 'rule', 'rate_above', 'info', 2, 1, 1, h, h, 'closed', NULL::timestamptz, NULL, h + interval '30 minutes'
            FROM generate_series(timestamptz '2024-07-10 00:00Z', '2024-07-19 23:00Z', '1 hour') AS h;
            INSERT INTO alert (\(columns)) VALUES
                (1, 'rule', 'rate_above', 'info', 2, 1, 1, '2024-01-01Z', '2024-01-01Z', 'open', NULL, NULL, NULL),
                (2, 'rule', 'rate_above', 'info', 2, 1, 1, '2024-01-01Z', '2024-01-01Z', 'acknowledged', '2024-01-01Z', 'me', NULL);
            INSERT INTO alert_transition (alert_id, state, at, published_at)
            SELECT id, 'opened', opened_at, opened_at FROM alert
            UNION ALL SELECT id, 'closed', closed_at, closed_at FROM alert WHERE state = 'closed'
            """)
        return database
    }

    private static func retention(
        days: Int, isPublishing: Bool = true, _ metrics: MetricsRegistry = MetricsRegistry()
    ) -> AlertRetention {
        AlertRetention(Retention(days: days), isPublishing: isPublishing, metrics: metrics)
    }

    /// The first day and the number of closed alerts, how many others there are, and how many changes.
    private static func kept(_ database: TestDatabase) throws -> [String] {
        try database.rows(
            """
            SELECT min(closed_at AT TIME ZONE 'UTC')::date, count(closed_at), count(*) - count(closed_at),
                (SELECT count(*) FROM alert_transition) FROM alert
            """)[0]
    }

    @Test func `closed alerts are deleted by the day with their changes, and no other is`() async throws {
        let database = try await Self.filled()
        var connection = try database.connect()
        let metrics = MetricsRegistry()
        let retention = Self.retention(days: 2, metrics)
        #expect(try retention.run(today: Self.today, &connection, atMost: 100))
        #expect(try Self.kept(database) == ["2024-07-14", "140", "2", "282"])
        #expect(try retention.run(today: Self.today, &connection, atMost: 100) == false)
        #expect(try Self.kept(database) == ["2024-07-17", "72", "2", "146"])
        #expect(metrics.render().contains("alerts_deleted_total 168"))
        // Nothing more, until a day has passed.
        #expect(try retention.run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database)[1] == "72")
        #expect(try retention.run(today: Self.today + 1, &connection) == false)
        #expect(try Self.kept(database) == ["2024-07-18", "48", "2", "98"])
    }

    @Test func `what the topic has not got stays, unless there is no topic`() async throws {
        let database = try await Self.filled()
        var connection = try database.connect()
        try database.execute(
            "UPDATE alert_transition SET published_at = NULL WHERE at = '2024-07-10 05:30Z' AND state = 'closed'")
        #expect(try Self.retention(days: 2).run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database) == ["2024-07-10", "73", "2", "148"])
        #expect(try Self.retention(days: 2, isPublishing: false).run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database) == ["2024-07-17", "72", "2", "146"])
    }

    @Test func `while another instance is at it, nothing is deleted`() async throws {
        let database = try await Self.filled()
        var other = try database.connect()
        try other.begin()
        #expect(try other.query("SELECT kpi_upkeep()").bool(0, 0) == true)
        var connection = try database.connect()
        #expect(try Self.retention(days: 2).run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database)[1] == "240")
    }
}
