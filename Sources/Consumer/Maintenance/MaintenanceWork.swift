import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

/// Maintains the partitions of some tables, beside the writing, which it never holds up for more than a moment.
///
/// Every consumer does it; the schema's functions let one work at a time. Without it rows go to the default partition.
final class MaintenanceWork: PeriodicWork {
    /// The pause after locks were not to be had: someone reads for long, and each attempt holds up the writers.
    private static let pauseForReaders = Duration.seconds(60)

    private var tables: [(maintenance: PartitionMaintenance, metrics: MaintenanceMetrics)]
    private let now: @Sendable () -> Timestamp

    /// - Parameter now: the clock whose days count.
    init(
        _ tables: [DailyTable], metrics: MetricsRegistry, logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { .now() }
    ) {
        self.tables = tables.map { table in
            let metrics = MaintenanceMetrics(metrics, table: table.name)
            return (PartitionMaintenance(table, logger: logger, metrics: metrics), metrics)
        }
        self.now = now
    }

    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Duration? {
        var problem: (any Error)?
        for index in tables.indices {
            do {
                try tables[index].maintenance.run(today: Int(now().microseconds / 86_400_000_000), &connection)
                tables[index].metrics.lastSuccess.set(Timestamp.now().milliseconds / 1000)
            } catch is AnotherMaintains {
            } catch let error as PostgresError where error.isLockTimeout {
                problem = Postponed(error, pause: Self.pauseForReaders)
            } catch {
                problem = problem ?? error
                // The tables behind this one have another chance only on a connection that works.
                guard connection.isAlive else { break }
            }
        }
        if let problem { throw problem }
        return nil
    }
}
