import ServiceKit
import TradeModel

/// Subscribes the symbols on each open, and takes in what the feed refuses of them. Loop thread.
final class Subscriber {
    private var subscriptions: Subscriptions
    private let events: FeedEventPublisher
    private let silence: SilenceWatch
    private let logger: Logger
    private let metrics: FeedConnectionMetrics
    private var errorLog = LogThrottle()

    init(
        _ symbols: [ShortText], events: FeedEventPublisher, silence: SilenceWatch, logger: Logger,
        metrics: FeedConnectionMetrics
    ) {
        subscriptions = Subscriptions(symbols)
        self.events = events
        self.silence = silence
        self.logger = logger
        self.metrics = metrics
    }

    /// Subscribes all symbols but the refused ones, on a connection that has just opened.
    func subscribe(on link: some FeedLink, at now: Timestamp) {
        subscriptions.opened()
        silence.opened(at: now)
        var count: Int64 = 0
        for symbol in subscriptions.symbols {
            var request = ByteWriter(capacity: 128)
            request.write("{\"type\":\"subscribe\",\"symbol\":")
            symbol.withBytes { request.writeJSONString($0) }
            request.write("}")
            if link.send(request.string) {
                count += 1
            } else {
                logger.error("a symbol was not subscribed: too many wait to be sent", ["feed.symbol": symbol])
                tell("too many subscriptions wait to be sent", symbol, at: now)
            }
        }
        metrics.subscribed.set(count)
    }

    /// Nothing is subscribed any more.
    func closed() {
        metrics.subscribed.set(0)
    }

    /// Takes in an error frame of the feed's. A flood of them is counted, and told a few times a minute.
    func refused(_ text: String, at now: Timestamp, _ instant: ContinuousClock.Instant) {
        metrics.errors.increment()
        switch subscriptions.refusal(text, hasTraded: silence.hasTraded) {
        case .symbol(let symbol):
            silence.forget(symbol)
            metrics.refused.set(Int64(subscriptions.refusedCount))
            metrics.subscribed.set(Int64(subscriptions.symbols.count))
            logger.warning(
                "the feed does not know a symbol; it is left out until the next start: check --symbols",
                ["feed.symbol": symbol, "feed.message": text])
            tell(text, symbol, at: now)
        case .tooMany:
            logger.warning(
                """
                there are more symbols than the feed's plan allows, and it does not say which of them it leaves out: \
                name fewer in --symbols, or share them among producers with a key each
                """,
                [
                    "feed.message": text, "feed.symbols": subscriptions.symbols.count,
                    "feed.plan": FeedSymbols.freePlan,
                ])
            tell(text, nil, at: now)
        case .tooManyAgain: break
        case .other:
            guard errorLog.allows(at: instant) else { return }
            logger.warning("the feed reports an error", ["feed.message": text])
            tell(text, nil, at: now)
        }
    }

    private func tell(_ cause: String, _ symbol: ShortText?, at now: Timestamp) {
        events.publish(.subscriptionRefused, at: now) { event in
            event.symbol = symbol
            event.cause = cause
        }
    }
}
