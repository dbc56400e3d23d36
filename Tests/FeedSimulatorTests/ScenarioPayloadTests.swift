import Foundation
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioPayloadTests {
    /// The messages of a file's first connection up to some number of trades.
    private static func messages(
        _ name: String, trades wanted: Int, _ symbols: [String] = ["AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD"]
    ) async throws -> [String] {
        let messages = Messages()
        try await withScenario(file: name) { run in
            let client = try WireClient(run.address)
            try client.open()
            for symbol in symbols { client.subscribe(symbol) }
            var count = 0
            while count < wanted {
                let text = try #require(try client.frame()).text
                messages.append(text)
                count += text.split(separator: "\"v\":").count - 1
            }
        }
        return messages.all
    }

    private final class Messages: @unchecked Sendable {
        // Safe to share: the test reads it when the body that writes it has ended.
        private(set) var all: [String] = []
        func append(_ text: String) { all.append(text) }
    }

    @Test func `A message ends in the middle of a trade`() async throws {
        let messages = try await Self.messages("payload-truncated-json", trades: 201)
        let broken = messages.filter { (try? JSONSerialization.jsonObject(with: Data($0.utf8))) == nil }
        #expect(broken.count == 1)
        #expect(
            try #/\{"data":\[\{"c":null,"p":10.5,"s":"AAPL","t":[0-9]{13},"v":1\},\{"c":null,"p":10./#
                .wholeMatch(in: #require(broken.first)) != nil)
        var parser = FeedParser()
        _ = parser.parse(Array(try #require(broken.first).utf8).span)
        #expect(parser.rejections.count == 1)
    }

    @Test func `Messages of unknown types come between the trades`() async throws {
        let messages = try await Self.messages("payload-unknown-type", trades: 200)
        let others = messages.filter { !$0.contains("\"v\":") }
        #expect(others.count == 3)
        #expect(others[0].hasPrefix(#"{"type":"news","data":[{"category":"company""#))
        #expect(others[1...] == [#"{"type":"weather","data":{"sky":"blue"}}"#, #"{"data":[]}"#])
    }

    @Test func `The order of keys changes`() async throws {
        let messages = try await Self.messages("payload-key-order", trades: 200)
        let change = try #require(messages.firstIndex { !$0.hasPrefix(#"{"type":"trade","data":[{"t":"#) })
        #expect(change > 0)
        #expect(messages[change...].allSatisfy { $0.hasPrefix(#"{"data":[{"#) && $0.hasSuffix(#"],"type":"trade"}"#) })
        #expect(try messages[..<change].flatMap(trades).count == 100)
    }

    @Test(arguments: [("null", "\"c\":null"), ("empty", "\"c\":[]"), ("absent", nil)])
    func `Conditions are of one kind`(kind: String, text: String?) async throws {
        let messages = try await Self.messages("payload-conditions-\(kind)", trades: 200)
        let keys = messages.reduce(0) { $0 + $1.split(separator: "\"c\":").count - 1 }
        let found = messages.reduce(0) { $0 + $1.split(separator: text ?? "\"c\":").count - 1 }
        #expect(keys == (text == nil ? 0 : 200) && found == keys)
        #expect(try messages.flatMap(trades).count == 200)
    }

    @Test func `Numbers with exponents have the market's values`() async throws {
        let messages = try await Self.messages("payload-numbers-exponent", trades: 200)
        let numbers = Self.numbers(messages)
        #expect(numbers.allSatisfy { $0.wholeMatch(of: #/[0-9](\.[0-9]+)?e-?[0-9]+|0/#) != nil })
        #expect(numbers.contains { $0.contains("e-") } && numbers.contains { $0.contains("e4") })
        try expectMarket(messages.flatMap(trades)) { $0 }
    }

    @Test func `Numbers are whole`() async throws {
        let messages = try await Self.messages("payload-numbers-integer", trades: 200)
        #expect(Self.numbers(messages).allSatisfy { $0.wholeMatch(of: #/[0-9]+/#) != nil })
        try expectMarket(messages.flatMap(trades)) { value in
            TradeModel.Decimal(coefficient: value.coefficient / Decimal.powerOfTen(Int(value.scale)), scale: 0)
        }
    }

    @Test func `Numbers have 17 digits`() async throws {
        let messages = try await Self.messages("payload-numbers-17-digits", trades: 200)
        let numbers = Self.numbers(messages).filter { $0 != "0" }
        #expect(numbers.count > 200)
        for number in numbers {
            let digits = number.filter { $0 != "." }.drop { $0 == "0" }
            #expect(digits.count == 17 && digits.last == "4", "\(number)")
        }
        _ = try messages.flatMap(trades)
    }

    /// The prices and volumes as they were written.
    private static func numbers(_ messages: [String]) -> [Substring] {
        messages.flatMap { $0.matches(of: #/"[pv]":([^,}]+)/#).map(\.1) }
    }

    /// Expects the trades to be the market's with their numbers changed, whatever the order of the subscriptions' arrival.
    private func expectMarket(_ trades: [Trade], _ change: (TradeModel.Decimal) -> TradeModel.Decimal)
        throws
    {
        for name in ["AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD"] {
            let symbol = try symbol(name)
            var market = Market(symbols: MarketSymbol.all(extra: 0), seed: 1)
            market.subscribe(symbol)
            for trade in trades.filter({ $0.symbol == symbol }) {
                let expected = market.next()
                #expect(TradeModel.Decimal.order(trade.price, change(expected.price)) == 0)
                #expect(TradeModel.Decimal.order(trade.volume, change(expected.volume)) == 0)
            }
        }
    }

    @Test(arguments: [2, 3])
    func `Each trade stands several times in its frame`(copies: Int) async throws {
        let messages = try await Self.messages("payload-copies-\(copies)-in-frame", trades: 200 * copies)
        for message in messages {
            let items = try trades(message)
            #expect(items.count.isMultiple(of: copies))
            for start in stride(from: 0, to: items.count, by: copies) {
                #expect(items[start..<start + copies].allSatisfy { $0.isSame(as: items[start]) })
            }
        }
        #expect(Set(messages).count == messages.count)
    }

    @Test(arguments: [2, 3])
    func `Each frame comes several times`(copies: Int) async throws {
        let start = ContinuousClock.now
        let messages = try await Self.messages("payload-copies-\(copies)-across-frames", trades: 200 * copies)
        let counts = messages.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
        #expect(counts.values.allSatisfy { $0 == copies })
        #expect(ContinuousClock.now - start >= .milliseconds(20) * (messages.count - counts.count))
    }

    @Test(arguments: [
        ("payload-times-late", -2_400_000...(-13) as ClosedRange<Int64>), ("payload-times-future", 1000...3_600_000),
    ])
    func `Times are shifted`(name: String, range: ClosedRange<Int64>) async throws {
        let start = Timestamp.now().milliseconds
        let messages = try await Self.messages(name, trades: 200)
        let end = Timestamp.now().milliseconds
        let times = try messages.flatMap(trades).map(\.time.milliseconds)
        // The market itself brings some up to 156 ms late.
        #expect(times.allSatisfy { (start + range.lowerBound - 156)...(end + range.upperBound) ~= $0 })
        #expect(try #require(times.max()) - (try #require(times.min())) > (range.upperBound - range.lowerBound) / 2)
        #expect(times != times.sorted())
    }

    @Test(arguments: [("payload-data-null", "null"), ("payload-data-empty", "[]")])
    func `A message of trades has none`(name: String, data: String) async throws {
        let messages = try await Self.messages(name, trades: 200)
        #expect(messages.filter { !$0.contains("\"v\":") } == ["{\"type\":\"trade\",\"data\":\(data)}"])
    }

    @Test func `Trades of a symbol that was never subscribed come`() async throws {
        let messages = try await Self.messages("payload-never-subscribed", trades: 210, ["AAPL"])
        let names = try messages.flatMap(trades).map(\.symbol.description)
        #expect(
            names == Array(repeating: "AAPL", count: 100) + Array(repeating: "IC MARKETS:1", count: 10)
                + Array(repeating: "AAPL", count: 100))
    }

    @Test func `Trades go on after the symbol was unsubscribed`() async throws {
        try await withScenario(file: "payload-after-unsubscribe") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            _ = try client.trades()
            client.unsubscribe("AAPL")
            // The answer to this shows that the server has heard it all.
            client.subscribe("NOPE")
            while try client.frame()?.text.contains("Invalid symbol NOPE") == false {}
            for _ in 0..<10 { #expect(try client.trades().contains("AAPL")) }
        }
    }

    @Test func `Without that fault an unsubscribed symbol is silent`() async throws {
        try await withScenario("connection *\n accept\n trades forever rate 1000") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL", "AMZN")
            _ = try client.trades()
            client.unsubscribe("AAPL")
            client.subscribe("NOPE")
            while try client.frame()?.text.contains("Invalid symbol NOPE") == false {}
            for _ in 0..<20 { #expect(try !client.trades().contains("AAPL")) }
        }
    }

    @Test func `From the 51st subscription on an error comes`() async throws {
        try await withScenario(file: "payload-51st-subscription", { $0.extraSymbols = 60 }) { run in
            let client = try WireClient(run.address)
            try client.open()
            for number in 1...51 { client.subscribe("SIM:00" + (number < 10 ? "0" : "") + "\(number)") }
            var names: Set<String> = []
            var errors: [String] = []
            while errors.isEmpty || names.count < 50 {
                let text = try #require(try client.frame()).text
                if text.contains("error") {
                    errors.append(text)
                } else {
                    names.formUnion(try trades(text).map(\.symbol.description))
                }
            }
            #expect(errors == [#"{"msg":"Subscribing to too many symbols","type":"error"}"#])
            #expect(!names.contains("SIM:0051"))
        }
    }

    @Test func `One symbol is refused by its name and the others are served`() async throws {
        let messages = try await Self.messages("payload-invalid-symbol", trades: 500, ["AAPL", "AMZN", "IC MARKETS:1"])
        let errors = messages.filter { $0.contains("error") }
        #expect(errors == [#"{"msg":"Invalid symbol AMZN","type":"error"}"#])
        #expect(messages.allSatisfy { !$0.contains("\"s\":\"AMZN\"") })
    }

    @Test func `A symbol goes mute while the others go on`() async throws {
        let messages = try await Self.messages("silence-one-symbol", trades: 600, ["AAPL", "BINANCE:ETHUSDT"])
        let names = try messages.flatMap(trades).map(\.symbol.description)
        #expect(names[..<200].contains("AAPL"))
        #expect(names[200...].allSatisfy { $0 == "BINANCE:ETHUSDT" })
    }
}

extension Trade {
    /// Whether all is the same but the place of the conditions in the message.
    fileprivate func isSame(as other: Trade) -> Bool {
        symbol == other.symbol && price == other.price && volume == other.volume && time == other.time
            && conditions.count == other.conditions.count
    }
}
