import ServiceKit
import Synchronization
import TradeModel

/// What is counted of the feed: by the feed's thread, wait-free, and read by any other.
final class FeedCounts: Sendable {
    /// Symbols that are counted each for itself; a feed that makes up more does not fill the memory.
    static let maximumSymbols = 4096
    /// Under what the trades of further symbols are counted together.
    static let otherSymbols = ShortText("(others)")!

    let frames: Counter
    let trades: Counter
    let repeated: Counter
    let spooled: Counter
    let dropped: Counter
    let rejected: [RejectionReason: Counter]
    private let symbols = Mutex([otherSymbols: Counter()])

    init(_ metrics: MetricsRegistry) {
        frames = metrics.counter("feed_frames_total", "Messages received from the feed")
        trades = metrics.counter("feed_trades_total", "Trades received from the feed")
        repeated = metrics.counter("feed_trades_repeated_total", "Trades that were identical to one shortly before")
        spooled = metrics.counter("feed_trades_spooled_total", "Trades written to the spool on their way to Kafka")
        dropped = metrics.counter("feed_trades_dropped_total", "Trades for which the spool had no place")
        rejected = Dictionary(
            uniqueKeysWithValues: RejectionReason.allCases.map { reason in
                (
                    reason,
                    metrics.counter(
                        "feed_items_rejected_total", "Items of the feed that are no trades", ["reason": reason.rawValue]
                    )
                )
            })
    }

    /// The counter of a symbol's trades, to be kept by who counts; nil when there are too many symbols already.
    func addSymbol(_ symbol: ShortText) -> Counter? {
        symbols.withLock { symbols in
            if symbols.count > Self.maximumSymbols, symbols[symbol] == nil { return nil }
            let counter = symbols[symbol] ?? Counter()
            symbols[symbol] = counter
            return counter
        }
    }

    /// Counts a trade of a symbol that has no counter.
    func countOther() {
        symbols.withLock { $0[Self.otherSymbols] }?.increment()
    }

    /// The trades of each symbol so far.
    var tradesBySymbol: [ShortText: Int64] { symbols.withLock { $0.mapValues(\.value) } }

    /// The rejected items so far, by reason.
    var rejectedByReason: [ShortText: Int64] {
        Dictionary(uniqueKeysWithValues: rejected.map { (ShortText($0.rawValue)!, $1.value) })
    }
}
