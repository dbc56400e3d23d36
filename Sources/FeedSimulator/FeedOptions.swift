import ServiceKit
import TradeModel

/// What the simulator does: the settings' values, ready for use.
struct FeedOptions: Sendable {
    var listen = ListenAddress(host: "127.0.0.1", port: 0)
    /// Where the address is written once the server listens.
    var addressFile: String?
    /// The token that a client must bring; nil when any will do.
    var token: String?
    var maxSymbols = 50
    var pingInterval = Duration.seconds(60)
    var seed: UInt64 = 1
    var extraSymbols = 0
    /// Trades a second, for each connection.
    var rate = 200
    var maxFrameTrades = 30
    /// The most trades sent in all.
    var limit = Int.max
    /// What is replayed instead of the simulated market.
    var replay: Replay?
    var speed = 1.0
    /// What is served instead of the simulated market.
    var scenario: Scenario?
    var recordFile: String?

    /// How often it is looked at what is due: about once a trade, within what a loop can do well.
    var tickInterval: Duration {
        .milliseconds(replay == nil ? max(1, min(1000 / rate, 10)) : 1)
    }

    /// How many symbols a connection may subscribe: like the real feed, only the second one above the plan's is refused.
    var places: Int { maxSymbols + 1 }

    /// What each new connection begins with.
    func makeClients() -> () -> FeedClient {
        let symbols = MarketSymbol.all(extra: extraSymbols)
        let market = Market(symbols: symbols, seed: seed)
        let known = Set(symbols.map(\.name)).union(replay?.symbols ?? [])
        return {
            let feed: any Feed =
                replay.map { ReplayFeed($0, speed: speed) }
                ?? MarketFeed(market, rate: rate, maxFrameTrades: maxFrameTrades)
            return FeedClient(ClientSession(known: known, places: places), feed)
        }
    }
}
