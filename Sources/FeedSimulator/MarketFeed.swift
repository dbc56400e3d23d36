import TradeModel

/// Frames from the simulated market, at its rate from the first subscription on.
///
/// Every connection has a market of its own from the start, so that each sees the same trades of a symbol. Trades that are
/// due while a client is slow are made later, when it takes them: nothing waits in memory.
struct MarketFeed: Feed {
    private var market: Market
    private let rate: Int
    private let maxFrameTrades: Int
    /// Stands still while nothing is subscribed.
    private var pace: Pace?

    init(_ market: Market, rate: Int, maxFrameTrades: Int) {
        self.market = market
        self.rate = rate
        self.maxFrameTrades = maxFrameTrades
    }

    mutating func subscribe(_ symbol: ShortText, at now: Moment) {
        market.subscribe(symbol)
        if pace == nil, !market.isEmpty { pace = Pace(rate: rate, from: now.instant) }
    }

    mutating func unsubscribe(_ symbol: ShortText) {
        market.unsubscribe(symbol)
        if market.isEmpty { pace = nil }
    }

    func due(at now: Moment) -> Int {
        pace?.due(at: now.instant) ?? 0
    }

    mutating func writeFrame(_ frame: inout FrameWriter, at now: Moment, allowance: Int) -> Int? {
        let count = min(due(at: now), maxFrameTrades, allowance)
        guard count > 0 else { return nil }
        frame.writeTrades(count, of: &market, at: now.time)
        pace?.take(count)
        return count
    }
}
