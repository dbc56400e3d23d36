import Postgres

extension Migrator {
    /// The schema that this build knows: the numbered files beside this one, compiled in.
    package static let tickstream = Migrator([
        migration(1, "trades", PackageResources._001_trades_sql),
        migration(2, "rollups", PackageResources._002_rollups_sql),
        migration(3, "kpis", PackageResources._003_kpis_sql),
        migration(4, "feed_events", PackageResources._004_feed_events_sql),
        migration(5, "source_positions", PackageResources._005_source_positions_sql),
        migration(6, "feed_gap", PackageResources._006_feed_gap_sql),
        migration(7, "ledger_faults", PackageResources._007_ledger_faults_sql),
        migration(8, "daily_trades", PackageResources._008_daily_trades_sql),
        migration(9, "ingest_batches", PackageResources._009_ingest_batches_sql),
        migration(10, "rejected_retries", PackageResources._010_rejected_retries_sql),
        migration(11, "roles", PackageResources._011_roles_sql),
        migration(12, "kpi_views", PackageResources._012_kpi_views_sql),
        migration(13, "alerts", PackageResources._013_alerts_sql),
        migration(14, "repeats", PackageResources._014_repeats_sql),
        migration(15, "closed_alerts_and_retries", PackageResources._015_closed_alerts_and_retries_sql),
        migration(16, "storing_functions", PackageResources._016_storing_functions_sql),
    ])

    private static func migration(_ number: Int, _ name: String, _ sql: [UInt8]) -> Migration {
        Migration(number: number, name: name, sql: String(decoding: sql, as: UTF8.self))
    }
}
