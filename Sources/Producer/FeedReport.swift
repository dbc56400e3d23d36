import ServiceKit
import TradeModel

/// Tells as events what was counted since it was told last: what was rejected or dropped at most once a second, and all
/// counts once an interval. Over the life of a producer that was stopped, they add up to what it received.
struct FeedReport {
    private let counts: FeedCounts
    private let acknowledged: () -> Int64
    private let refused: () -> Int64
    private let events: FeedEventPublisher
    private let interval: Duration

    private var nextFaults = ContinuousClock.now + faultInterval
    private var nextCounters: ContinuousClock.Instant
    private var rejected = Told()
    private var dropped = Told()
    private var bySymbol = Told()
    private var last = FeedEvent.Counts()

    private static let faultInterval = Duration.seconds(1)

    /// - Parameters:
    ///   - interval: the time from one event `counters` to the next.
    ///   - acknowledged: how many trades Kafka has acknowledged.
    ///   - refused: how many Kafka's client has refused for good.
    init(
        counts: FeedCounts, events: FeedEventPublisher, interval: Duration, acknowledged: @escaping () -> Int64,
        refused: @escaping () -> Int64
    ) {
        self.counts = counts
        self.acknowledged = acknowledged
        self.refused = refused
        self.events = events
        self.interval = interval
        nextCounters = .now + interval
    }

    /// Tells what is due.
    mutating func tellIfDue(at now: ContinuousClock.Instant = .now) {
        if now >= nextFaults {
            nextFaults = now + Self.faultInterval
            tellFaults()
        }
        if now >= nextCounters {
            nextCounters = now + interval
            tellCounters()
        }
    }

    /// Tells all that is left, when nothing is counted any more.
    mutating func finish() {
        tellFaults()
        if counted() != last { tellCounters() }
    }

    private mutating func tellFaults() {
        let rejected = rejected.difference(to: counts.rejectedByReason)
        if !rejected.isEmpty { events.publish(.rejectedItems) { $0.details = rejected } }
        let dropped = dropped.difference(to: [
            Self.spoolFull: counts.dropped.value, Self.refusedByKafka: refused(),
        ])
        if !dropped.isEmpty { events.publish(.dropped) { $0.details = dropped } }
    }

    private static let spoolFull = ShortText("spool_full")!
    private static let refusedByKafka = ShortText("refused_by_kafka")!

    private func counted() -> FeedEvent.Counts {
        // Against the way of a trade, so that none counts as come out that does not count as gone in.
        var now = FeedEvent.Counts()
        now.acknowledged = acknowledged()
        now.enqueued = counts.spooled.value
        now.rejected = counts.rejected.values.reduce(0) { $0 + $1.value }
        now.received = counts.trades.value + now.rejected
        now.frames = counts.frames.value
        return now
    }

    private mutating func tellCounters() {
        let now = counted()
        let bySymbol = bySymbol.difference(to: counts.tradesBySymbol)
        let since = now - last
        last = now
        events.publish(.counters) { event in
            event.counts = since
            event.details = bySymbol
        }
    }

    /// Counts that have been told already.
    private struct Told {
        private var last: [ShortText: Int64] = [:]

        /// What has been added since, without what has not risen.
        mutating func difference(to counts: [ShortText: Int64]) -> [ShortText: Int64] {
            defer { last = counts }
            return counts.reduce(into: [:]) { result, count in
                let added = count.value - last[count.key, default: 0]
                if added > 0 { result[count.key] = added }
            }
        }
    }
}

extension FeedEvent.Counts {
    fileprivate static func - (left: Self, right: Self) -> Self {
        var result = left
        result.frames -= right.frames
        result.received -= right.received
        result.rejected -= right.rejected
        result.enqueued -= right.enqueued
        result.acknowledged -= right.acknowledged
        return result
    }
}
