import TradeModel

/// What is known of the trades of one symbol in one window: a value that can be added to another of the same window.
///
/// Adding is associative and commutative, so neither the order of trades nor their batches make a difference.
struct Rollup {
    private(set) var trades: Int64 = 0
    private(set) var volume = ExactSum()
    private(set) var priceSum = ExactSum()
    private(set) var notional = ExactSum()
    private(set) var open: Edge
    private(set) var close: Edge
    /// The greatest and least price, without zeros at the end: `1.5` and `1.50` are one price, whichever came first.
    private(set) var high: Decimal
    private(set) var low: Decimal

    /// The first or last trade of a window: by time, and by row id where times are equal.
    struct Edge {
        var price: Decimal
        var time: Timestamp
        var id: Int64

        static func < (left: Edge, right: Edge) -> Bool {
            left.time != right.time ? left.time < right.time : left.id < right.id
        }
    }

    /// The rollup of one trade, whose row has the given id.
    init(_ trade: Trade, id: Int64) {
        let edge = Edge(price: trade.price, time: trade.time, id: id)
        (open, close) = (edge, edge)
        high = trade.price.withoutTrailingZeros
        low = high
        count(trade)
    }

    /// Adds a trade of the same symbol and window.
    mutating func add(_ trade: Trade, id: Int64) {
        let edge = Edge(price: trade.price, time: trade.time, id: id)
        if edge < open { open = edge }
        if close < edge { close = edge }
        if high < trade.price { high = trade.price.withoutTrailingZeros }
        if trade.price < low { low = trade.price.withoutTrailingZeros }
        count(trade)
    }

    private mutating func count(_ trade: Trade) {
        trades += 1
        volume.add(trade.volume)
        priceSum.add(trade.price)
        notional.addProduct(trade.price, trade.volume)
    }

    /// Adds what another window, or another batch, has of the same symbol.
    mutating func add(_ other: Rollup) {
        trades += other.trades
        volume.add(other.volume)
        priceSum.add(other.priceSum)
        notional.add(other.notional)
        if other.open < open { open = other.open }
        if close < other.close { close = other.close }
        if high < other.high { high = other.high }
        if other.low < low { low = other.low }
    }
}

extension Decimal {
    /// The same number with no more places than it needs.
    fileprivate var withoutTrailingZeros: Decimal {
        var (coefficient, scale) = (coefficient, scale)
        while scale > 0, coefficient % 10 == 0 { (coefficient, scale) = (coefficient / 10, scale - 1) }
        return Decimal(coefficient: coefficient, scale: scale)
    }
}
