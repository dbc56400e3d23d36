import TestSupport
import TradeModel

/// A trade with the id of its row.
typealias Row = (trade: Trade, id: Int64)

/// Trades of few symbols in few windows, with all that numbers can be: equal ones with other places among them, equal
/// times, volumes of nothing, tiny prices and 38 digits.
func randomTrades(_ count: Int, seed: UInt64) -> [Row] {
    var random = SplitMix64(seed: seed)
    let symbols = ["AAPL", "BINANCE:BTCUSDT", "é"].map { ShortText($0)! }
    return (0..<count).map { index in
        let trade = Trade(
            symbol: symbols.randomElement(using: &random)!, price: number(isPrice: true, &random),
            volume: number(isPrice: false, &random),
            time: time(&random), conditions: .empty)
        return (trade, Int64(index + 1))
    }
}

/// Mostly one of few; now and then very late, or of the future, up to the ends of what a time may be.
private func time(_ random: inout SplitMix64) -> Timestamp {
    let odd: [Int64] = [0, 999, 951_782_399_999, 4_102_444_800_000, 253_402_300_799_999]
    if random.oneIn(25) { return Timestamp(milliseconds: random.pick(odd)) }
    return Timestamp(milliseconds: 1_721_555_886_000 + Int64.random(in: 0..<20, using: &random) * 250 * 997)
}

private func number(isPrice: Bool, _ random: inout SplitMix64) -> Decimal {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return Decimal(coefficient: 1, scale: 7)
    case 1 where !isPrice: return Decimal(coefficient: 0, scale: UInt8.random(in: 0...3, using: &random))
    case 2: return Decimal(coefficient: Decimal.powerOfTen(38) - 1, scale: UInt8.random(in: 0...38, using: &random))
    case 3: return Decimal(coefficient: 1, scale: 38)
    case 4...6:
        // The same value with more and more places.
        let zeros = Int.random(in: 0...4, using: &random)
        return Decimal(coefficient: 15 * Decimal.powerOfTen(zeros), scale: UInt8(zeros + 1))
    default:
        return Decimal(
            coefficient: Int128.random(in: 1...9_999_999, using: &random),
            scale: UInt8.random(in: 0...8, using: &random))
    }
}
