import Postgres
import ServiceKit
import TradeModel

/// Maintains the partitions of some tables, beside the writing, which it never holds up for more than a moment.
///
/// Every consumer runs one; the schema's functions let one work at a time. Without it rows go to the default partition, so
/// nothing that fails here stops the program: it is logged, and tried again.
final class MaintenanceService: Service {
    let name = "maintenance"

    /// The pause after locks were not to be had: someone reads for long, and each attempt holds up the writers.
    private static let pauseForReaders = Duration.seconds(60)

    private struct Stop {
        var isRequested = false
        /// Gives up what the connection executes.
        var running: PostgresCancelHandle?
    }

    private let tables: [(table: DailyTable, metrics: MaintenanceMetrics)]
    private let database: PostgresConfiguration
    private let logger: Logger
    private let interval: Duration
    private let now: @Sendable () -> Timestamp
    private let stop = ConditionLock(Stop())

    /// Makes the service.
    /// - Parameters:
    ///   - interval: between two looks; one costs a short query a table.
    ///   - now: the clock whose days count.
    init(
        _ tables: [DailyTable], database: PostgresConfiguration, metrics: MetricsRegistry, logger: Logger,
        interval: Duration = .seconds(10), now: @escaping @Sendable () -> Timestamp = { .now() }
    ) {
        self.tables = tables.map { ($0, MaintenanceMetrics(metrics, table: $0.name)) }
        self.database = database
        self.logger = logger
        self.interval = interval
        self.now = now
    }

    func run(until shutdown: ShutdownSignal) throws {
        shutdown.onRequest { [self] in giveUp() }
        var maintained = tables.map { PartitionMaintenance($0.table, logger: logger, metrics: $0.metrics) }
        var connection: PostgresConnection?
        var lastProblem: String?
        var pause = interval
        repeat {
            var problem: String?
            pause = interval
            for index in maintained.indices {
                do {
                    let day = Int(now().microseconds / 86_400_000_000)
                    try withConnection(&connection) { try maintained[index].run(today: day, &$0) }
                    tables[index].metrics.lastSuccess.set(Timestamp.now().milliseconds / 1000)
                } catch is AnotherMaintains {
                } catch {
                    problem = "\(error)"
                    if (error as? PostgresError)?.isLockTimeout == true { pause = max(pause, Self.pauseForReaders) }
                }
            }
            // A problem that lasts is told once.
            if let problem, problem != lastProblem, !shutdown.isRequested {
                logger.warning(
                    "partitions could not be maintained; trying again", ["error": problem, "after": pause])
            }
            lastProblem = problem
        } while stop.wait(for: pause) { $0.isRequested ? true : nil } == nil
    }

    /// Runs work on the connection, making one where there is none. What was lost is made anew the next time.
    private func withConnection(
        _ connection: inout PostgresConnection?, _ body: (inout PostgresConnection) throws -> Void
    ) throws {
        var current: PostgresConnection
        if let open = connection.take() {
            current = open
        } else {
            current = try PostgresConnection(database)
        }
        let handle = try current.cancelHandle()
        let isStopping = stop.withLock { stop in
            stop.running = handle
            return stop.isRequested
        }
        defer { stop.withLock { $0.running = nil } }
        do {
            if !isStopping { try body(&current) }
        } catch {
            if current.isAlive { connection = consume current }
            throw error
        }
        connection = consume current
    }

    /// The statement under way may move many rows; it is given up, and nothing of it stays.
    private func giveUp() {
        let running = stop.withLock { stop in
            stop.isRequested = true
            return stop.running
        }
        try? running?.cancel()
    }
}
