import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

/// What is to be done for the KPI tables beside the trades: latencies are merged, and rollups and alerts deleted whose time
/// is over.
///
/// Every instance does it; a lock in the database lets one work at a time. Nothing of it holds up the trades.
final class UpkeepWork: PeriodicWork {
    /// Between two looks for what is past its time, once nothing is.
    private static let retentionInterval = Duration.seconds(60)

    private let retention: RollupRetention
    private let alerts: AlertRetention?
    private let now: @Sendable () -> Timestamp
    private let folded: Counter
    private let lastSuccess: Gauge
    private var nextRetention = ContinuousClock.now

    /// - Parameters:
    ///   - alerts: how long closed alerts are kept; nil means for ever.
    ///   - now: the clock whose days count.
    init(
        _ retention: RollupRetention, alerts: AlertRetention?, metrics: MetricsRegistry,
        now: @escaping @Sendable () -> Timestamp = { .now() }
    ) {
        self.retention = retention
        self.alerts = alerts
        self.now = now
        folded = metrics.counter(
            "latency_batches_total", "Batches of ingest_batch that this process merged into the latency rollups")
        lastSuccess = metrics.gauge(
            "upkeep_last_success_seconds", "When the upkeep of the KPI tables last went well, in Unix time")
    }

    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Duration? {
        let batches = try LatencyFold.run(&connection)
        folded.increment(by: Int64(batches))
        var isBehind = batches == LatencyFold.batchesAtOnce
        if ContinuousClock.now >= nextRetention {
            let today = Int(now().microseconds / 86_400_000_000)
            let hasMoreRollups = try retention.run(today: today, &connection)
            let hasMoreAlerts = try alerts?.run(today: today, &connection) ?? false
            if hasMoreRollups || hasMoreAlerts {
                isBehind = true
            } else {
                nextRetention = .now + Self.retentionInterval
            }
        }
        lastSuccess.set(Timestamp.now().milliseconds / 1000)
        return isBehind ? .zero : nil
    }
}
