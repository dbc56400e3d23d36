import TestSupport
import TradeModel

/// A seeded market of 50 instruments, as many as a feed's free plan has, or of more: the same trades in every run.
///
/// Shares, coins and currencies with the digits that such feeds send; some instruments trade often and most seldom;
/// 5,000 trades a second of the market's own time.
struct Market {
    /// The symbols, the most traded ones first.
    var symbols: [String] { instruments.map(\.symbol) }

    private var instruments: [Instrument]
    /// Running sums of the weights, which fall as 1 / rank.
    private let cumulativeWeights: [Int]
    private var random: SplitMix64
    private var count: Int64 = 0

    private struct Instrument {
        let symbol: String
        let conditions: StaticString
        let places: Int
        let volumePlaces: Int
        let largestVolume: Int
        var price: Int
    }

    init(seed: UInt64, symbols: Int) {
        random = SplitMix64(seed: seed)
        instruments = Self.instruments(&random)
        for number in instruments.count..<max(symbols, instruments.count) {
            instruments.append(
                Instrument(
                    symbol: "SHARE\(number)", conditions: "[\"1\"]", places: 2, volumePlaces: 0, largestVolume: 500,
                    price: 5_000 + random.below(60_000)))
        }
        var sum = 0
        cumulativeWeights = instruments.indices.map { rank in
            sum += 10_000 / (rank + 1)
            return sum
        }
    }

    /// Appends the next frame of the feed.
    mutating func writeFrame(trades: Int, to writer: inout ByteWriter) {
        writer.write("{\"data\":[")
        for index in 0..<trades {
            if index > 0 { writer.write(byte: UInt8(ascii: ",")) }
            writeTrade(&writer)
        }
        writer.write("],\"type\":\"trade\"}")
    }

    private mutating func writeTrade(_ writer: inout ByteWriter) {
        let index = pick()
        // A random walk of a few of the smallest steps, kept far from zero.
        instruments[index].price = max(1000, instruments[index].price + random.below(11) - 5)
        let instrument = instruments[index]
        let volume = instrument.largestVolume == 0 ? 0 : 1 + random.below(instrument.largestVolume)
        writer.write("{\"c\":")
        writer.write(instrument.conditions)
        writer.write(",\"p\":")
        writer.write(Self.decimal(instrument.price, places: instrument.places))
        writer.write(",\"s\":")
        writer.writeJSONString(instrument.symbol)
        writer.write(",\"t\":")
        writer.write(Self.start + count / 5)
        writer.write(",\"v\":")
        writer.write(Self.decimal(volume, places: instrument.volumePlaces))
        writer.write(byte: UInt8(ascii: "}"))
        count += 1
    }

    private mutating func pick() -> Int {
        let place = random.below(cumulativeWeights.last!)
        return cumulativeWeights.firstIndex { place < $0 }!
    }

    /// 2026-01-05, 14:30 UTC, in milliseconds.
    private static let start: Int64 = 1_767_623_400_000

    /// As feeds write numbers: without zeros at the end.
    private static func decimal(_ units: Int, places: Int) -> Decimal {
        var (units, places) = (units, places)
        while places > 0, units % 10 == 0 {
            units /= 10
            places -= 1
        }
        return Decimal(coefficient: Int128(units), scale: UInt8(places))
    }

    private static func instruments(_ random: inout SplitMix64) -> [Instrument] {
        let coins = [
            "BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "AVAX", "LINK", "DOT", "LTC", "BCH", "UNI", "ATOM", "ETC",
            "XLM", "NEAR", "APT", "FIL", "ARB",
        ]
        let shares = [
            "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO", "JPM", "V", "WMT", "XOM", "UNH", "MA",
            "PG",
            "COST", "HD", "NFLX", "BAC", "KO",
        ]
        let currencies = [
            "EUR_USD", "USD_JPY", "GBP_USD", "AUD_USD", "USD_CAD", "USD_CHF", "NZD_USD", "EUR_GBP", "EUR_JPY",
            "EUR_CHF",
        ]
        var instruments: [Instrument] = []
        for index in coins.indices {
            instruments.append(
                Instrument(
                    symbol: "BINANCE:\(coins[index])USDT", conditions: "null", places: 2, volumePlaces: 5,
                    largestVolume: 2_000_000, price: 7_000_000 / (index + 1)))
            instruments.append(
                Instrument(
                    symbol: shares[index], conditions: "[\"1\",\"12\"]", places: 2, volumePlaces: 0, largestVolume: 500,
                    price: 5_000 + random.below(60_000)))
            if index % 2 == 0 {
                instruments.append(
                    Instrument(
                        symbol: "OANDA:\(currencies[index / 2])", conditions: "null", places: 5, volumePlaces: 0,
                        largestVolume: 0, price: 60_000 + random.below(100_000)))
            }
        }
        return instruments
    }
}
