import ServiceKit
import TradeModel

/// What the consumer counts of a topic besides what every reader counts.
struct ConsumerMetrics: Sendable {
    private let rejections: [RejectionReason: Counter]

    init(_ registry: MetricsRegistry, topic: String) {
        rejections = Dictionary(
            uniqueKeysWithValues: RejectionReason.allCases.map { reason in
                (
                    reason,
                    registry.counter(
                        "records_rejected_total",
                        "Records that are not what their topic is for, stored in rejected_trade",
                        ["topic": topic, "reason": reason.rawValue])
                )
            })
    }

    /// Counts a rejected record.
    func rejected(_ reason: RejectionReason) {
        rejections[reason]?.increment()
    }
}
