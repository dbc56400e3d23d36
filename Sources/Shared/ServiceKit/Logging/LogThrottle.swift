/// Lets a few lines a minute through, for what can go wrong a thousand times a second. What it holds back is counted
/// elsewhere, in a metric.
package struct LogThrottle {
    private let limit: Int
    private var count = 0
    private var windowEnd = ContinuousClock.now

    /// Allows so many lines a minute.
    package init(linesPerMinute limit: Int = 10) {
        self.limit = limit
    }

    /// Whether the next line may be logged.
    package mutating func allows(at now: ContinuousClock.Instant = .now) -> Bool {
        if now >= windowEnd {
            windowEnd = now + .seconds(60)
            count = 0
        }
        count += 1
        return count <= limit
    }
}
