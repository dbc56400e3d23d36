import Testing
import TradeModel

@testable import FeedSimulator

struct ClientSessionTests {
    private static let known = Set(MarketSymbol.all(extra: 60).map(\.name))

    private static func message(_ type: String, _ symbol: String) -> String {
        "{\"type\":\"\(type)\",\"symbol\":\"\(symbol)\"}"
    }

    private static func simulated(_ number: Int) -> String {
        "SIM:00" + (number < 10 ? "0" : "") + String(number)
    }

    @Test func `A known symbol is subscribed once and unsubscribed once`() throws {
        var session = ClientSession(known: Self.known, places: 51)
        let name = try symbol("IC MARKETS:1")
        #expect(session.receive(Self.message("subscribe", "IC MARKETS:1")) == .subscribe(name))
        #expect(session.receive(Self.message("subscribe", "IC MARKETS:1")) == .ignore)
        #expect(session.receive(Self.message("unsubscribe", "AAPL")) == .ignore)
        #expect(session.receive(Self.message("unsubscribe", "IC MARKETS:1")) == .unsubscribe(name))
        #expect(session.receive(Self.message("unsubscribe", "IC MARKETS:1")) == .ignore)
    }

    @Test func `An unknown symbol is refused by its name`() {
        var session = ClientSession(known: Self.known, places: 51)
        #expect(session.receive(Self.message("subscribe", "FX:EURUSD")) == .refuse("Invalid symbol FX:EURUSD"))
        #expect(session.receive(Self.message("subscribe", "")) == .refuse("Invalid symbol "))
        let long = String(repeating: "X", count: 100)
        #expect(session.receive(Self.message("subscribe", long)) == .refuse("Invalid symbol \(long)"))
    }

    @Test func `With 51 places the 52nd symbol is the first to be refused and unsubscribing frees a place`() throws {
        var session = ClientSession(known: Self.known, places: 51)
        for number in 1...51 {
            let name = Self.simulated(number)
            #expect(session.receive(Self.message("subscribe", name)) == .subscribe(try symbol(name)))
        }
        let tooMany = ClientSession.Action.refuse("Subscribing to too many symbols")
        #expect(session.receive(Self.message("subscribe", Self.simulated(52))) == tooMany)
        #expect(session.receive(Self.message("subscribe", Self.simulated(51))) == .ignore)
        _ = session.receive(Self.message("unsubscribe", Self.simulated(3)))
        #expect(session.receive(Self.message("subscribe", Self.simulated(52))) == .subscribe(try symbol("SIM:0052")))
        #expect(session.receive(Self.message("subscribe", Self.simulated(53))) == tooMany)
    }

    @Test(arguments: [
        "", "junk", "{", "[]", "null", "{\"type\":\"subscribe\"}", "{\"type\":\"subscribe\",\"symbol\":7}",
        "{\"symbol\":\"AAPL\"}", "{\"type\":\"subscribe\",\"symbol\":\"AAPL\"} x",
        "{\"type\":\"subscribe\",\"symbol\":\"AAPL\"",
    ])
    func `A malformed message is refused`(text: String) {
        var session = ClientSession(known: Self.known, places: 51)
        #expect(session.receive(text) == .refuse("Invalid message"))
    }

    @Test func `A message of an unknown type is refused`() {
        var session = ClientSession(known: Self.known, places: 51)
        #expect(session.receive(Self.message("buy", "AAPL")) == .refuse("Invalid message type buy"))
    }

    @Test func `Space escapes and further keys do not matter`() throws {
        var session = ClientSession(known: Self.known, places: 51)
        let text = " { \"id\" : [1, {}] , \"symbol\" : \"\\u0041APL\", \"type\":\"subscribe\" } "
        #expect(session.receive(text) == .subscribe(try symbol("AAPL")))
    }
}

extension ClientSession {
    fileprivate mutating func receive(_ text: String) -> Action { receive(Array(text.utf8).span) }
}
