import ExactlyOnce
import Postgres
import ServiceKit

/// Evaluates the rules, and keeps the metrics up to date also while another member does.
final class AlertWork: PeriodicWork {
    private let evaluator: AlertEvaluator
    private let metrics: AlertMetrics

    init(_ evaluator: AlertEvaluator, _ metrics: AlertMetrics) {
        self.evaluator = evaluator
        self.metrics = metrics
    }

    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Duration? {
        let start = ContinuousClock.now
        if try evaluator.run(&connection) {
            metrics.evaluations.increment()
            metrics.evaluationTime.observe(microseconds: Int64((ContinuousClock.now - start) / .microseconds(1)))
        }
        let rows = try connection.query(
            """
            SELECT extract(epoch FROM evaluated_at)::bigint,
                (SELECT count(*) FROM alert_transition WHERE published_at IS NULL),
                \(AlertMetrics.severities.map { "count(alert.id) FILTER (WHERE severity = '\($0)')" }
                    .joined(separator: ", "))
            FROM alert_evaluation LEFT JOIN alert ON state <> 'closed' GROUP BY 1
            """)
        metrics.lastEvaluation.set(rows.int64(0, 0) ?? 0)
        metrics.unpublished.set(rows.int64(0, 1) ?? 0)
        for (index, gauge) in metrics.open.enumerated() { gauge.set(rows.int64(0, index + 2) ?? 0) }
        return nil
    }
}
