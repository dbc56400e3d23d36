import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

@testable import Consumer

/// 2026-11-21, in days since 1970.
let today = 20_778

extension PartitionMaintenance {
    /// Of the raw trades unless told otherwise.
    static func of(
        _ table: String = "trade_data_finhub", keeping days: Int? = nil, metrics: MetricsRegistry = MetricsRegistry()
    ) -> PartitionMaintenance {
        PartitionMaintenance(
            DailyTable(name: table, daysBehind: 7, retention: days.map { Retention(days: $0) }),
            logger: Logger(label: "tests", output: { _ in }),
            metrics: MaintenanceMetrics(metrics, table: table))
    }
}

extension TestDatabase {
    /// Stores trades of one symbol with rising ids, so many to each of the times, which are SQL.
    func store(_ count: Int, at time: String, firstID: Int = 1) throws {
        try execute(
            """
            INSERT INTO trade_data_finhub
            SELECT n, 'A', 1, \(time) + n * interval '1 ms', 1, NULL, now(), now(), now(), 0, n, 'tests', n, 0
            FROM generate_series(\(firstID), \(firstID + count - 1)) AS n
            """)
    }

    /// The days that have partitions, and `default`.
    func partitions(of table: String = "trade_data_finhub") throws -> [String] {
        try rows(
            """
            SELECT coalesce(day::text, 'default') FROM daily_partition WHERE daily_table = '\(table)' ORDER BY 1
            """
        ).map { $0[0] }
    }

    /// How many rows stand in which partition.
    func rowsByPartition() throws -> [String: String] {
        let rows = try rows(
            """
            SELECT substring(tableoid::regclass::text FROM '[^_]*$'), count(*) FROM trade_data_finhub GROUP BY 1
            """)
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
    }
}
