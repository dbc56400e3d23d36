import TradeModel

/// The random walk of one symbol: all its trades are a function of the seed and the symbol alone.
struct MarketWalk {
    let symbol: MarketSymbol
    /// In units of 10^−scale.
    private var price: Int64
    private var random: SeededRandom

    init(_ symbol: MarketSymbol, seed: UInt64) {
        self.symbol = symbol
        price = symbol.price
        random = SeededRandom(seed: seed, name: symbol.name)
    }

    mutating func next() -> MarketTrade {
        movePrice()
        let volume = nextVolume()
        let delay = random.next(below: 32) == 0 ? 2 + random.next(below: 155) : 0
        return MarketTrade(
            symbol: symbol.name, price: Decimal(units: price, scale: symbol.scale), volume: volume,
            conditions: nextConditions(), delay: delay)
    }

    /// Up to three ticks up or down, mostly none or one, and never further from the first price than a quarter.
    private mutating func movePrice() {
        let ticks: InlineArray<16, Int64> = [0, 0, 0, 0, 0, 0, 1, -1, 1, -1, 1, -1, 2, -2, 3, -3]
        let move = ticks[Int(random.next(below: 16))] * symbol.tick
        let isTooFar = (price + move - symbol.price).magnitude > symbol.price.magnitude / 4
        price += isTooFar ? -move : move
    }

    private mutating func nextVolume() -> Decimal {
        switch symbol.kind {
        case .stock:
            let isRoundLot = random.next(below: 3) == 0
            let shares = isRoundLot ? 100 * (1 + random.next(below: 9)) : 1 + random.next(below: 250)
            return Decimal(units: shares, scale: 0)
        case .crypto:
            switch random.next(below: 64) {
            case 0, 1: return .zero
            case 2: return Decimal(units: 1 + random.next(below: 200), scale: 8)
            case 3..<12: return Decimal(units: 1 + random.next(below: 100_000_000), scale: 8)
            default: return Decimal(units: 1 + random.next(below: 30_000), scale: 5)
            }
        case .forex:
            return .zero
        case .contract:
            return Decimal(units: 1 + random.next(below: 10), scale: 0)
        }
    }

    private mutating func nextConditions() -> MarketTrade.Conditions {
        switch symbol.kind {
        case .stock: random.next(below: 2) == 0 ? .regular : .oddLot
        case .crypto: .null
        case .forex: .absent
        case .contract: .empty
        }
    }
}
