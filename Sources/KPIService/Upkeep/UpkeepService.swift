import Postgres
import ServiceKit
import TradeModel

/// What is to be done for the KPI tables beside the trades: latencies are merged, and rollups deleted whose time is over.
///
/// Every instance runs one; a lock in the database lets one work at a time. Nothing of it holds up the trades, so nothing
/// that fails here stops the program: it is logged, and tried again.
final class UpkeepService: Service {
    let name = "upkeep"

    /// Between two looks for what is past its time, once nothing is.
    private static let retentionInterval = Duration.seconds(60)

    private let retention: RollupRetention
    private let database: PostgresConfiguration
    private let logger: Logger
    private let interval: Duration
    private let now: @Sendable () -> Timestamp
    private let folded: Counter
    private let lastSuccess: Gauge
    private let isStopping = ConditionLock(false)

    /// Makes the service.
    /// - Parameters:
    ///   - interval: between two looks for batches; one costs a few probes of an index.
    ///   - now: the clock whose days count.
    init(
        _ retention: RollupRetention, database: PostgresConfiguration, metrics: MetricsRegistry, logger: Logger,
        interval: Duration = .seconds(1), now: @escaping @Sendable () -> Timestamp = { .now() }
    ) {
        self.retention = retention
        self.database = database
        self.logger = logger
        self.interval = interval
        self.now = now
        folded = metrics.counter(
            "latency_batches_total", "Batches of ingest_batch that this process merged into the latency rollups")
        lastSuccess = metrics.gauge(
            "upkeep_last_success_seconds", "When the upkeep of the KPI tables last went well, in Unix time")
    }

    func run(until shutdown: ShutdownSignal) throws {
        shutdown.onRequest { [isStopping] in isStopping.withLock { $0 = true } }
        var connection: PostgresConnection?
        var lastProblem: String?
        var nextRetention = ContinuousClock.now
        var pause = interval
        repeat {
            pause = interval
            var problem: String?
            do {
                if try work(&connection, &nextRetention) { pause = .zero }
                lastSuccess.set(Timestamp.now().milliseconds / 1000)
            } catch {
                problem = "\(error)"
            }
            // A problem that lasts is told once.
            if let problem, problem != lastProblem, !shutdown.isRequested {
                logger.warning("the upkeep of the KPI tables failed; trying again", ["error": problem])
            }
            lastProblem = problem
        } while isStopping.wait(for: pause) { $0 ? true : nil } == nil
    }

    /// Does the next part of what is to be done, on the connection or a new one; after an error on a new one the next time.
    /// - Returns: whether there may be more to do.
    private func work(
        _ connection: inout PostgresConnection?, _ nextRetention: inout ContinuousClock.Instant
    ) throws(PostgresError) -> Bool {
        var current = if let open = connection.take() { open } else { try PostgresConnection(database) }
        let batches = try LatencyFold.run(&current)
        folded.increment(by: Int64(batches))
        var isBehind = batches == LatencyFold.batchesAtOnce
        if ContinuousClock.now >= nextRetention {
            if try retention.run(today: Int(now().microseconds / 86_400_000_000), &current) {
                isBehind = true
            } else {
                nextRetention = .now + Self.retentionInterval
            }
        }
        connection = consume current
        return isBehind
    }
}
