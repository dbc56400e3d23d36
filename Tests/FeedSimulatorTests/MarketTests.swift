import Testing
import TradeModel

@testable import FeedSimulator

struct MarketTests {
    private static let names = [
        "AAPL", "AMZN", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "OANDA:EUR_USD", "IC MARKETS:1", "SIM:0001", "SIM:0002",
    ]

    private static func market(seed: UInt64 = 1, _ names: [String] = names) throws -> Market {
        var market = Market(symbols: MarketSymbol.all(extra: 2), seed: seed)
        for name in names { market.subscribe(try symbol(name)) }
        return market
    }

    private static func sequence(_ market: Market, _ count: Int = 20_000) -> [MarketTrade] {
        var market = market
        return (0..<count).map { _ in market.next() }
    }

    /// The market's frames of so many trades each.
    private static func frames(_ market: Market, size: Int, count: Int) -> [String] {
        var market = market
        var writer = FrameWriter()
        return (0..<count).map { _ in
            writer.writeTrades(size, of: &market, at: moment(.zero).time)
            return writer.withBytes { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func `The same seed gives the same bytes and another seed others`() throws {
        let frames = Self.frames(try Self.market(seed: 7), size: 30, count: 300)
        #expect(frames == Self.frames(try Self.market(seed: 7), size: 30, count: 300))
        #expect(frames != Self.frames(try Self.market(seed: 8), size: 30, count: 300))
    }

    @Test func `The market stays the same from version to version`() throws {
        let frames = Self.frames(try Self.market(), size: 3, count: 2)
        #expect(
            frames == [
                #"{"type":"trade","data":[{"t":1787924136086,"p":3490.6,"v":0.15856,"c":null,"s":"BINANCE:ETHUSDT"},"#
                    + #"{"t":1787924136086,"p":1.06617,"v":0,"s":"OANDA:EUR_USD"},"#
                    + #"{"t":1787924136086,"p":168.38,"v":0.25936,"c":null,"s":"SIM:0002"}]}"#,
                #"{"data":[{"c":null,"p":66972.78,"s":"BINANCE:BTCUSDT","t":1787924136086,"v":0.23715},"#
                    + #"{"c":null,"p":66972.78,"s":"BINANCE:BTCUSDT","t":1787924136086,"v":0.6142846},"#
                    + #"{"p":1.06617,"s":"OANDA:EUR_USD","t":1787924136086,"v":0}],"type":"trade"}"#,
            ])
    }

    @Test func `Trades do not depend on how they are framed`() throws {
        let one = try Self.frames(Self.market(), size: 1, count: 3000).flatMap(trades)
        let thirty = try Self.frames(Self.market(), size: 30, count: 100).flatMap(trades)
        #expect(one.map { [$0.price, $0.volume] } == thirty.map { [$0.price, $0.volume] })
        #expect(one.map(\.symbol) == thirty.map(\.symbol))
    }

    @Test func `The order of subscriptions does not matter`() throws {
        #expect(Self.sequence(try Self.market()) == Self.sequence(try Self.market(Self.names.reversed())))
    }

    @Test func `A symbol's trades do not depend on which others are subscribed`() throws {
        let apple = try symbol("AAPL")
        let among = Self.sequence(try Self.market()).filter { $0.symbol == apple }
        let alone = Self.sequence(try Self.market(["AAPL"]), among.count)
        #expect(among.count > 1000)
        #expect(among == alone)
    }

    @Test func `A symbol that is left and taken again goes on where it stood`() throws {
        let apple = try symbol("AAPL")
        var market = try Self.market(["AAPL"])
        let first = market.next()
        market.unsubscribe(apple)
        #expect(market.isEmpty)
        market.subscribe(apple)
        let both = Self.sequence(try Self.market(["AAPL"]), 2)
        #expect([first, market.next()] == both)
    }

    @Test func `Every frame reads back with exactly the market's digits`() throws {
        var expected = try Self.market()
        let time = moment(.zero).time.milliseconds
        for frame in Self.frames(expected, size: 30, count: 700) {
            for trade in try trades(frame) {
                let next = expected.next()
                #expect(trade.symbol == next.symbol)
                #expect(trade.price == next.price)
                #expect(trade.volume == next.volume)
                #expect(trade.time.milliseconds == time - next.delay)
                let conditions = Array(frame.utf8).dropFirst(trade.conditions.start).prefix(trade.conditions.count)
                let json = next.conditions.json.map(\.description) ?? ""
                #expect(String(decoding: conditions, as: UTF8.self) == (json == "null" ? "" : json))
            }
        }
    }

    @Test func `Both orders of keys are sent`() throws {
        let frames = Self.frames(try Self.market(), size: 1, count: 2)
        #expect(frames.count { $0.hasPrefix("{\"type\":\"trade\",\"data\":[{\"t\":") } == 1)
        #expect(frames.count { $0.hasPrefix("{\"data\":[{") && $0.hasSuffix("],\"type\":\"trade\"}") } == 1)
    }

    @Test func `The market looks like a market`() throws {
        let trades = Self.sequence(try Self.market(), 50_000)
        let bySymbol = Dictionary(grouping: trades, by: \.symbol.description)
        #expect(bySymbol.count == Self.names.count)
        #expect(bySymbol["OANDA:EUR_USD"]!.allSatisfy { $0.volume == .zero && $0.conditions == .absent })
        #expect(bySymbol["IC MARKETS:1"]!.allSatisfy { $0.conditions == .empty })
        #expect(bySymbol["BINANCE:BTCUSDT"]!.allSatisfy { $0.conditions == .null })
        #expect(Set(bySymbol["AAPL"]!.map(\.conditions)) == [.regular, .oddLot])
        #expect(bySymbol["AAPL"]!.allSatisfy { $0.volume.scale == 0 && $0.volume.coefficient > 0 })
        #expect(bySymbol["BINANCE:BTCUSDT"]!.count > bySymbol["AMZN"]!.count)
        #expect(bySymbol["IC MARKETS:1"]!.count < trades.count / 100)
        #expect(bySymbol["BINANCE:BTCUSDT"]!.contains { $0.volume == .zero })
        // As small as the feed writes with an exponent.
        #expect(trades.contains { $0.volume.scale == 8 && (1..<100).contains($0.volume.coefficient) })
        #expect(trades.allSatisfy { $0.price > .zero })
        #expect(Set(bySymbol["AAPL"]!.map(\.price)).count > 20)
        let delays = Set(trades.map(\.delay))
        #expect(delays.contains(0) && delays.contains(2) && delays.contains(156))
        #expect(delays.allSatisfy { $0 == 0 || 2...156 ~= $0 })
    }

    @Test(
        arguments: [
            (6_697_277, 2, "66972.77"), (129_575, 3, "129.575"), (317_700, 3, "317.7"), (26_626_000, 3, "26626"),
            (0, 8, "0"), (100, 8, "0.000001"), (10, 8, "1e-7"), (15, 8, "1.5e-7"), (1, 8, "1e-8"),
            (19_300, 8, "0.000193"),
            (1_559_000, 8, "0.01559"), (100_000_000, 8, "1"),
        ] as [(Int64, UInt8, String)])
    func `Numbers are written as the feed writes them`(units: Int64, scale: UInt8, text: String) throws {
        var writer = ByteWriter()
        writer.writeFeedNumber(Decimal(units: units, scale: scale))
        #expect(writer.string == text)
        #expect(Decimal(text) == Decimal(units: units, scale: scale))
    }
}
