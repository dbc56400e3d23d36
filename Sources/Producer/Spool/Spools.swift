import TradeModel

/// A producer's two spools: one a topic, each with numbers of its own.
struct Spools: Sendable {
    let tradesTopic: String
    let eventsTopic: String
    let trades: Spool
    let events: Spool
    /// Keeps other processes out.
    private let directory: SpoolDirectory

    /// Events are few: a feed that is dialled in vain once a minute fills this in years.
    private static let eventLimits = Spool.Limits(bytes: 16 << 20, segmentBytes: 1 << 20)

    /// Opens both, with what a former run has left in them.
    init(
        directory: SpoolDirectory, tradesTopic: String, eventsTopic: String, limits: Spool.Limits
    ) throws(SpoolError) {
        self.directory = directory
        self.tradesTopic = tradesTopic
        self.eventsTopic = eventsTopic
        trades = try directory.spool(tradesTopic, limits: limits)
        events = try directory.spool(eventsTopic, limits: Self.eventLimits)
    }

    /// Where they are.
    var path: String { directory.path }

    /// When the feed was heard last by a former run; nil when there was none.
    var lastSign: Timestamp? { trades.lastSign }
}
