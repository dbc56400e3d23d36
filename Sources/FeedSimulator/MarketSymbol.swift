import TradeModel

/// An instrument of the simulated market, and how it is traded.
struct MarketSymbol {
    /// What the instrument is: it decides volumes and conditions.
    enum Kind {
        /// Whole shares; conditions such as `["1","8"]`.
        case stock
        /// Down to the eighth place, sometimes zero; conditions `null`.
        case crypto
        /// Changes of price only: the volume is zero; no conditions.
        case forex
        /// Whole contracts; conditions `[]`.
        case contract
    }

    let name: ShortText
    let kind: Kind
    /// How often it is traded, relative to the others.
    let weight: Int64
    /// The first price, in units of 10^−scale.
    let price: Int64
    /// The smallest change of the price, in the same units.
    let tick: Int64
    let scale: UInt8

    /// The names are this file's own, and short.
    private init(_ name: String, _ kind: Kind, weight: Int64, price: Int64, tick: Int64, scale: UInt8) {
        self.name = ShortText(name)!
        self.kind = kind
        self.weight = weight
        self.price = price
        self.tick = tick
        self.scale = scale
    }

    /// The symbols that are always there, and as many made-up ones (`SIM:0001` and so on) as wanted.
    static func all(extra: Int) -> [MarketSymbol] {
        let standard = [
            MarketSymbol("AAPL", .stock, weight: 800, price: 317_775, tick: 5, scale: 3),
            MarketSymbol("AMZN", .stock, weight: 500, price: 231_490, tick: 5, scale: 3),
            MarketSymbol("BINANCE:BTCUSDT", .crypto, weight: 2000, price: 6_697_277, tick: 1, scale: 2),
            MarketSymbol("BINANCE:ETHUSDT", .crypto, weight: 1000, price: 349_060, tick: 1, scale: 2),
            MarketSymbol("OANDA:EUR_USD", .forex, weight: 600, price: 106_618, tick: 1, scale: 5),
            MarketSymbol("IC MARKETS:1", .contract, weight: 5, price: 129_575, tick: 5, scale: 3),
        ]
        return standard + (0..<extra).map { madeUp($0 + 1) }
    }

    private static func madeUp(_ number: Int) -> MarketSymbol {
        let digits = String(number)
        let name = "SIM:" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        let kind: Kind = number.isMultiple(of: 2) ? .crypto : .stock
        let price = 1_000 + Int64(number) * 7_919 % 50_000
        return MarketSymbol(name, kind, weight: 20 + Int64(600 / number), price: price, tick: 1, scale: 2)
    }
}
