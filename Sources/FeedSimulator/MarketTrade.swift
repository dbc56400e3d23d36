import TradeModel

/// A trade of the simulated market, before it has a time.
struct MarketTrade: Equatable {
    /// The conditions, as the feed's markets send them.
    enum Conditions {
        case absent
        case null
        case empty
        case regular
        case oddLot

        /// The JSON value; nil when the key is left out.
        var json: StaticString? {
            switch self {
            case .absent: nil
            case .null: "null"
            case .empty: "[]"
            case .regular: "[\"1\"]"
            case .oddLot: "[\"1\",\"8\"]"
            }
        }
    }

    let symbol: ShortText
    /// Without trailing zeros, as the feed writes numbers.
    let price: Decimal
    /// Without trailing zeros.
    let volume: Decimal
    let conditions: Conditions
    /// How many milliseconds before it is sent the trade took place: seldom not zero, which puts it out of order.
    let delay: Int64
}

extension Decimal {
    /// A number of units of 10^−scale, without trailing zeros.
    init(units: Int64, scale: UInt8) {
        var (units, scale) = (units, scale)
        while scale > 0, units % 10 == 0 {
            units /= 10
            scale -= 1
        }
        self.init(coefficient: Int128(units), scale: scale)
    }
}
