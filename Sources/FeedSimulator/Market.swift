import TradeModel

/// A seeded random market: an endless sequence of trades of the symbols that are subscribed.
///
/// A pure value. What trades there are of a symbol depends on the seed and the symbol alone; in which order those of several
/// symbols come, on the seed and on which symbols are subscribed. Nothing depends on clocks or on how trades are framed.
struct Market {
    private var walks: [MarketWalk]
    private let places: [ShortText: Int]
    /// Chooses whose trade is next.
    private var random: SeededRandom
    /// The places of the subscribed symbols, rising.
    private var subscribed: [Int] = []
    /// For each of them the sum of its weight and all before it.
    private var bounds: [Int64] = []

    init(symbols: [MarketSymbol], seed: UInt64) {
        walks = symbols.map { MarketWalk($0, seed: seed) }
        places = Dictionary(uniqueKeysWithValues: zip(symbols.map(\.name), symbols.indices))
        random = SeededRandom(seed: seed)
    }

    /// Whether there is nothing to trade.
    var isEmpty: Bool { subscribed.isEmpty }

    /// Adds a symbol's trades; its walk goes on where it stood. A symbol that the market does not know is never traded.
    mutating func subscribe(_ symbol: ShortText) {
        guard let place = places[symbol], !subscribed.contains(place) else { return }
        subscribed.insert(place, at: subscribed.firstIndex { $0 > place } ?? subscribed.endIndex)
        sumWeights()
    }

    /// Leaves a symbol's trades out from now on.
    mutating func unsubscribe(_ symbol: ShortText) {
        subscribed.removeAll { $0 == places[symbol] }
        sumWeights()
    }

    private mutating func sumWeights() {
        var sum: Int64 = 0
        bounds = subscribed.map { place in
            sum += walks[place].symbol.weight
            return sum
        }
    }

    /// The next trade; the market is not empty.
    mutating func next() -> MarketTrade {
        let point = random.next(below: bounds[bounds.count - 1])
        var low = 0
        var high = bounds.count - 1
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] > point { high = middle } else { low = middle + 1 }
        }
        return walks[subscribed[low]].next()
    }
}
