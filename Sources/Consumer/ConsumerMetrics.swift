import ServiceKit
import TradeModel

/// What the consumer counts besides what every reader counts.
struct ConsumerMetrics: Sendable {
    private let rejections: [RejectionReason: Counter]

    init(_ registry: MetricsRegistry) {
        rejections = Dictionary(
            uniqueKeysWithValues: RejectionReason.allCases.map { reason in
                (
                    reason,
                    registry.counter(
                        "records_rejected_total", "Records that are no trades, stored in rejected_trade",
                        ["reason": reason.rawValue])
                )
            })
    }

    /// Counts a rejected record.
    func rejected(_ reason: RejectionReason) {
        rejections[reason]?.increment()
    }
}
