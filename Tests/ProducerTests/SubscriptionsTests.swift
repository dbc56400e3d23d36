import Testing
import TradeModel

@testable import Producer

@Suite struct SubscriptionsTests {
    private static func symbols(_ names: String...) -> [ShortText] { names.map { ShortText($0)! } }

    @Test func `a named symbol is dropped, whatever stands in its name`() {
        var subscriptions = Subscriptions(Self.symbols("A", "IC MARKETS:1", "B"))
        #expect(
            subscriptions.refusal("Invalid symbol IC MARKETS:1", hasTraded: { _ in true })
                == .symbol(ShortText("IC MARKETS:1")!))
        #expect(subscriptions.symbols == Self.symbols("A", "B") && subscriptions.refusedCount == 1)
        #expect(subscriptions.refusal("Invalid symbol IC MARKETS:1", hasTraded: { _ in true }) == .other)
        #expect(subscriptions.refusal("Invalid symbol a", hasTraded: { _ in false }) == .other)
        #expect(subscriptions.refusal("Invalid API key", hasTraded: { _ in false }) == .other)
        #expect(subscriptions.symbols == Self.symbols("A", "B") && subscriptions.refusedCount == 1)
    }

    @Test func `without a name, the symbol is the only one that never traded, or nobody knows`() {
        var subscriptions = Subscriptions(Self.symbols("A", "B", "C"))
        let traded = Set(Self.symbols("A"))
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: traded.contains) == .other)
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: { _ in true }) == .other)
        #expect(subscriptions.symbols.count == 3)
        let more = Set(Self.symbols("A", "C"))
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: more.contains) == .symbol(ShortText("B")!))
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: more.contains) == .other)
        #expect(subscriptions.symbols == Self.symbols("A", "C"))
    }

    @Test func `where there are too many symbols, none is guessed`() {
        var subscriptions = Subscriptions(Self.symbols("A", "B"))
        let traded = Set(Self.symbols("A"))
        subscriptions.opened()
        #expect(subscriptions.refusal("Subscribing to too many symbols", hasTraded: traded.contains) == .tooMany)
        #expect(subscriptions.refusal("Subscribing to too many symbols", hasTraded: traded.contains) == .tooManyAgain)
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: traded.contains) == .other)
        subscriptions.opened()
        #expect(subscriptions.refusal("Subscribing to too many symbols", hasTraded: traded.contains) == .tooMany)
        subscriptions.opened()
        #expect(subscriptions.refusal("Invalid symbol", hasTraded: traded.contains) == .symbol(ShortText("B")!))
    }
}
