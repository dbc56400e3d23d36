import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct RollupRetentionTests {
    /// 2024-07-19, in days since 1970.
    private static let today = 19_923

    private static let tables = [
        "trade_rollup_1s", "trade_rollup_1m", "trade_rollup_1h", "latency_rollup_1m", "latency_rollup_1h",
    ]

    /// Two rows an hour of the last ten days, up to the end of today.
    private static func filled() async throws -> TestDatabase {
        let database = try await TestDatabase()
        let hours = "generate_series(timestamptz '2024-07-10 00:00Z', '2024-07-19 23:00Z', '1 hour') AS h"
        for table in tables {
            try database.execute(
                table.hasPrefix("latency")
                    ? """
                    INSERT INTO latency_rollup SELECT '\(table.suffix(2))', h, hop, 1, 0, 1, 1, 1, '{1}', '{1}'
                    FROM \(hours), (VALUES ('feed_to_db'), ('consumer_to_db')) AS hops (hop)
                    """
                    : """
                    INSERT INTO \(table) SELECT symbol, h, 1, 1, 1, 1, 1, h, 1, 1, 1, 1, h, 1
                    FROM \(hours), (VALUES ('A'), ('B')) AS symbols (symbol)
                    """)
        }
        return database
    }

    private static func kept(_ database: TestDatabase) throws -> [String] {
        try tables.map {
            try database.value("SELECT min(window_start AT TIME ZONE 'UTC')::date || ' ' || count(*) FROM \($0)")
        }
    }

    @Test func `each grain is kept for its own time, latencies with it, and what has none for ever`() async throws {
        let database = try await Self.filled()
        var connection = try database.connect()
        let metrics = MetricsRegistry()
        let retention = RollupRetention([.second: Retention(days: 1), .minute: Retention(days: 7)], metrics: metrics)
        while try retention.run(today: Self.today, &connection, atMost: 100) {}
        #expect(
            try Self.kept(database) == [
                "2024-07-18 96", "2024-07-12 384", "2024-07-10 480", "2024-07-12 384", "2024-07-10 480",
            ])
        #expect(metrics.render().contains(#"rollups_deleted_total{table="trade_rollup_1s"} 384"#))
        #expect(metrics.render().contains(#"rollups_deleted_total{table="latency_rollup_1m"} 96"#))
        // Nothing more, until a day has passed.
        #expect(try retention.run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database)[0] == "2024-07-18 96")
        #expect(try retention.run(today: Self.today + 1, &connection) == false)
        #expect(try Self.kept(database)[0] == "2024-07-19 48")
    }

    @Test func `one transaction deletes no more than it is to, the oldest first`() async throws {
        let database = try await Self.filled()
        var connection = try database.connect()
        let retention = RollupRetention([.hour: Retention(days: 1)], metrics: MetricsRegistry())
        #expect(try retention.run(today: Self.today, &connection, atMost: 48))
        #expect(
            try Self.kept(database) == [
                "2024-07-10 480", "2024-07-10 480", "2024-07-11 432", "2024-07-10 480", "2024-07-11 432",
            ])
    }

    @Test func `a row that is being changed is left, and deleted the next time`() async throws {
        try await TestDatabase.run { database in
            // A body that may block.
            let today = Self.today
            try database.execute(
                """
                INSERT INTO trade_rollup_1s SELECT 'A', h, 1, 1, 1, 1, 1, h, 1, 1, 1, 1, h, 1
                FROM generate_series(timestamptz '2024-07-10 00:00Z', '2024-07-10 23:00Z', '1 hour') AS h
                """)
            var writer = try database.connect()
            try writer.begin()
            try writer.execute("UPDATE trade_rollup_1s SET trades = 2 WHERE window_start = '2024-07-10 05:00Z'")
            var connection = try database.connect()
            let retention = RollupRetention([.second: Retention(days: 1)], metrics: MetricsRegistry())
            #expect(try retention.run(today: today, &connection) == false)
            #expect(try database.value("SELECT count(*) FROM trade_rollup_1s") == "1")
            try writer.commit()
            #expect(try retention.run(today: today, &connection) == false)
            #expect(try database.value("SELECT count(*) FROM trade_rollup_1s") == "0")
        }
    }

    @Test func `while another instance is at it, nothing is deleted`() async throws {
        let database = try await Self.filled()
        var other = try database.connect()
        try other.begin()
        #expect(try other.query("SELECT kpi_upkeep()").bool(0, 0) == true)
        var connection = try database.connect()
        let retention = RollupRetention([.second: Retention(days: 1)], metrics: MetricsRegistry())
        #expect(try retention.run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database)[0] == "2024-07-10 480")
        try other.rollback()
        #expect(try retention.run(today: Self.today, &connection) == false)
        #expect(try Self.kept(database)[0] == "2024-07-18 96")
    }
}
