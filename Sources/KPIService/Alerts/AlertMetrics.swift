import ServiceKit

/// What is told of the alerts.
struct AlertMetrics: Sendable {
    static let severities = ["info", "warning", "critical"]

    /// By severity, as `severities` has them.
    let open: [Gauge]
    let rules: Gauge
    let restingRules: Gauge
    let opened: Counter
    let evaluations: Counter
    let evaluationTime: ServiceKit.Histogram
    let lastEvaluation: Gauge
    let unpublished: Gauge
    let published: Counter

    init(_ registry: MetricsRegistry) {
        open = Self.severities.map { severity in
            registry.gauge(
                "alerts_open", "Alerts that are not closed, those acknowledged among them", ["severity": severity])
        }
        rules = registry.gauge("alert_rules_enabled", "Rules that were enabled when this process evaluated last")
        restingRules = registry.gauge(
            "alert_rules_resting", "Rules that could not be evaluated when this process evaluated last")
        opened = registry.counter("alerts_opened_total", "Alerts that this process opened")
        evaluations = registry.counter("alert_evaluations_total", "Evaluations of all rules by this process")
        evaluationTime = registry.histogram("alert_evaluation_seconds", "Time of an evaluation of all rules")
        lastEvaluation = registry.gauge(
            "alert_last_evaluation_seconds", "When any process evaluated the rules last, in Unix time")
        unpublished = registry.gauge(
            "alert_transitions_unpublished", "Changes of alerts that have not reached the topic of alerts yet")
        published = registry.counter(
            "alert_transitions_published_total", "Changes of alerts that this process wrote to the topic of alerts")
    }
}
