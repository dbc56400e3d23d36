import TradeModel

/// Notices when an open connection brings no more pings of the feed, which come about once a minute.
///
/// A finding, and no reason to reconnect: trades may well go on. That nothing comes at all is the transport's to notice.
/// A plain value for one connection.
struct PingWatch {
    /// How long the feed may send no ping.
    static let limit = Duration.seconds(300)

    /// The last ping, or the opening, by both clocks.
    private var last: (instant: ContinuousClock.Instant, time: Timestamp)
    private var isOverdue = false

    init(openedAt instant: ContinuousClock.Instant, _ time: Timestamp) {
        last = (instant, time)
    }

    /// A ping has come.
    /// - Returns: when the one before it came, if this one was overdue and that has been told.
    mutating func ping(at instant: ContinuousClock.Instant, _ time: Timestamp) -> Timestamp? {
        defer { (last, isOverdue) = ((instant, time), false) }
        return isOverdue ? last.time : nil
    }

    /// To be called about once a second.
    /// - Returns: when the last ping came, once, when the next one is overdue.
    mutating func tick(at instant: ContinuousClock.Instant) -> Timestamp? {
        guard !isOverdue, instant - last.instant >= Self.limit else { return nil }
        isOverdue = true
        return last.time
    }
}
