/// Something in a feed's life that its trades do not tell: that it was away, what it refused, and what was counted.
///
/// A plain value; which of its fields are set depends on the kind (docs/formats.md). Together with the trades it says what
/// the feed missed.
package struct FeedEvent: Equatable, Sendable {
    /// What has happened. The raw value is what stands in topic and table.
    package enum Kind: String, CaseIterable, Sendable {
        /// A connection to the feed is open.
        case connected
        /// A connection, or an attempt to connect, has ended.
        case disconnected
        /// Nothing comes although the connection is open.
        case stalled
        /// After `stalled`, something comes again.
        case resumed
        /// Nothing comes for one symbol.
        case symbolMute = "symbol_mute"
        /// After `symbolMute`, something comes again.
        case symbolResumed = "symbol_resumed"
        /// A symbol could not be subscribed.
        case subscriptionRefused = "subscription_refused"
        /// Items that are no trades: how many for which reason.
        case rejectedItems = "rejected_items"
        /// Trades that did not reach the topic: how many for which reason.
        case dropped
        /// What was counted since the last event of this kind.
        case counters
    }

    /// What went through a producer in a span of time: `received = rejected + enqueued`, unless some were dropped, and in
    /// the end `enqueued = acknowledged`.
    package struct Counts: Equatable, Sendable {
        /// Messages of the feed.
        package var frames: Int64 = 0
        /// Items in them, trades or not.
        package var received: Int64 = 0
        /// Items that are no trades.
        package var rejected: Int64 = 0
        /// Trades that Kafka's client has taken.
        package var enqueued: Int64 = 0
        /// Trades that Kafka has acknowledged.
        package var acknowledged: Int64 = 0

        package init() {}
    }

    package var kind: Kind
    /// When it happened, by the producer's clock.
    package var at: Timestamp
    /// Which producer tells it: a stable name.
    package var source: ShortText
    /// Strictly rising among the events of a source.
    package var sequence: Int64
    /// The symbol that it is about, when it is about one.
    package var symbol: ShortText?
    /// Why, in words: of the feed, or of what went wrong. Without U+0000.
    package var cause: String?
    /// The code of the WebSocket's close frame.
    package var closeCode: Int32?
    /// The status with which the upgrade was refused.
    package var httpStatus: Int32?
    /// How long the connection had been open.
    package var connectedMilliseconds: Int64?
    /// Since when nothing had come.
    package var gapFrom: Timestamp?
    /// Until when nothing had come; nil while that lasts.
    package var gapTo: Timestamp?
    package var counts: Counts?
    /// Counts by name: of trades by symbol in `counters`, by reason in `rejectedItems` and `dropped`.
    package var details: [ShortText: Int64] = [:]

    package init(_ kind: Kind, at: Timestamp, source: ShortText, sequence: Int64) {
        self.kind = kind
        self.at = at
        self.source = source
        self.sequence = sequence
    }
}
