import ServiceKit
import TradeModel

/// Watches for symbols that bring nothing though their market is open, and has that written down.
///
/// Used on the feed's thread only. Silence is never a reason to reconnect.
final class SilenceWatch {
    private var symbols: [ShortText]
    private let events: FeedEventPublisher
    private let logger: Logger
    private let muteSymbols: Gauge
    private let unsubscribedTrades: Counter
    private let lastTrades: [ShortText: Gauge]
    private var silence: SymbolSilence

    /// - Parameter symbols: those that are to be subscribed. Each is a label of a metric, so their number is bounded.
    init(
        calendar: MarketCalendar, symbols: [ShortText], events: FeedEventPublisher, logger: Logger,
        metrics: MetricsRegistry
    ) {
        silence = SymbolSilence(calendar: calendar)
        self.symbols = symbols
        self.events = events
        self.logger = logger
        muteSymbols = metrics.gauge("feed_symbols_mute", "Symbols that bring nothing although their market is open")
        unsubscribedTrades = metrics.counter(
            "feed_trades_unsubscribed_total", "Trades of symbols that are not subscribed, published all the same")
        lastTrades = symbols.reduce(into: [:]) { gauges, symbol in
            gauges[symbol] = metrics.gauge(
                "feed_symbol_last_trade_timestamp_seconds", "When the last trade of a symbol came; 0 before the first",
                ["symbol": symbol.description])
        }
    }

    /// The symbols have been subscribed: their silence begins anew.
    func opened(at now: Timestamp) {
        for symbol in symbols { silence.subscribe(symbol, at: now) }
    }

    /// The feed does not know a symbol: it is not watched any more.
    func forget(_ symbol: ShortText) {
        symbols.removeAll { $0 == symbol }
        silence.unsubscribe(symbol)
    }

    /// Whether a symbol has brought a trade in this run.
    func hasTraded(_ symbol: ShortText) -> Bool { silence.lastTrade(of: symbol) != nil }

    /// A trade has come, by the wall clock at `now`. On the hot path: one look-up, and nothing more for nearly all trades.
    @inline(__always)
    func trade(of symbol: ShortText, at now: Timestamp) {
        if let action = silence.trade(of: symbol, at: now) { tell(action, at: now) }
    }

    /// Sees to it that silences are found and the metrics are up to date; about once a second, while the feed is connected.
    func tick(at now: Timestamp) {
        for action in silence.tick(at: now) { tell(action, at: now) }
        let mute = symbols.count { symbol in
            if case .mute = silence.activity(of: symbol) { true } else { false }
        }
        muteSymbols.set(Int64(mute))
        for symbol in symbols {
            if let time = silence.lastTrade(of: symbol) { lastTrades[symbol]?.set(time) }
        }
        unsubscribedTrades.increment(by: silence.unwatchedTrades - unsubscribedTrades.value)
    }

    private func tell(_ action: SymbolSilenceAction, at now: Timestamp) {
        switch action {
        case .mute(let symbol, let since):
            logger.warning(
                "a symbol brings nothing although its market is open", ["feed.symbol": symbol, "since": since])
            events.publish(.symbolMute, at: now) { event in
                event.symbol = symbol
                event.gapFrom = since
            }
        case .resumed(let symbol, let silentFor):
            logger.info("a symbol brings trades again", ["feed.symbol": symbol, "silent": silentFor])
            events.publish(.symbolResumed, at: now) { event in
                event.symbol = symbol
                event.gapFrom = Timestamp(microseconds: now.microseconds - Int64(silentFor / .microseconds(1)))
                event.gapTo = now
            }
        }
    }
}
