import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

/// Deletes rollups whose time is over: in small transactions, beside the writing, for which they never wait.
struct RollupRetention: Sendable {
    /// Rows that one transaction deletes at most.
    static let rowsAtOnce = 5000

    private let tables: [Table]

    private struct Table {
        let name: String
        let retention: Retention
        let deleted: Counter
    }

    /// Makes one that keeps each grain's rollups, of trades and of latencies, for so long; those of other grains for ever.
    init(_ retentions: [Grain: Retention], metrics: MetricsRegistry) {
        tables = retentions.flatMap { grain, retention in
            // Latencies have no rollups of seconds.
            (grain == .second ? ["trade"] : ["trade", "latency"]).map { kind in
                let name = "\(kind)_rollup_\(grain.rawValue)"
                let deleted = metrics.counter(
                    "rollups_deleted_total", "Rollups deleted since their time was over", ["table": name])
                return Table(name: name, retention: retention, deleted: deleted)
            }
        }
    }

    /// Deletes the next rows of each table; none where another instance is at it.
    /// - Parameter today: in days since 1970-01-01, UTC.
    /// - Returns: whether there may be more.
    func run(
        today: Int, _ connection: inout PostgresConnection, atMost limit: Int = rowsAtOnce
    ) throws(PostgresError) -> Bool {
        var isBehind = false
        for table in tables {
            let deleted = try delete(from: table.name, before: today - table.retention.days, limit, &connection)
            table.deleted.increment(by: Int64(deleted))
            if deleted == limit { isBehind = true }
        }
        return isBehind
    }

    private func delete(
        from table: String, before day: Int, _ limit: Int, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> Int {
        // A row into which a late trade is being merged is left for the next time.
        // The days are written down, so that nobody misses what is gone.
        try connection.deleteAlone(
            """
            WITH deleted AS (
                DELETE FROM \(table) WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM \(table) WHERE window_start < timestamptz 'epoch' + $1::int * interval '24 hours'
                    ORDER BY window_start LIMIT $2 FOR UPDATE SKIP LOCKED))
                RETURNING (window_start AT TIME ZONE 'UTC')::date AS day
            ), forgotten AS (
                INSERT INTO forgotten_day SELECT DISTINCT '\(table)', day FROM deleted ON CONFLICT DO NOTHING
            )
            SELECT count(*) FROM deleted
            """, before: day, atMost: limit)
    }
}

extension PostgresConnection {
    /// Deletes rows in a transaction of its own, unless another instance is at the upkeep.
    /// - Parameter sql: deletes what is of days before `$1`, so many rows as `$2` says at most, and answers how many.
    mutating func deleteAlone(_ sql: String, before day: Int, atMost limit: Int) throws(PostgresError) -> Int {
        try begin(limits: .upkeep)
        var deleted = 0
        if try query("SELECT kpi_upkeep()").bool(0, 0) == true {
            let count = try query(sql, parameters: [.integer(Int64(day)), .integer(Int64(limit))])
            deleted = Int(count.int64(0, 0) ?? 0)
        }
        try commit()
        return deleted
    }
}
