import ServiceKit
import Testing
import TradeModel

@testable import Producer

/// Silences of symbols, from the feed's thread to the topic of events.
struct SilenceWatchTests {
    /// A moment so many seconds after the start, in a market that never closes.
    private func moment(_ seconds: Int64) -> Timestamp {
        Timestamp(microseconds: 1_787_924_136_000_000 + seconds * 1_000_000)
    }

    private let symbol = ShortText("BINANCE:BTCUSDT")!

    @Test func `a symbol that brings nothing is written down once, and so is its next trade`() throws {
        let topic = try TestTopic()
        let watch = topic.silence(of: ["BINANCE:BTCUSDT", "BINANCE:ETHUSDT"])
        let other = ShortText("BINANCE:ETHUSDT")!
        watch.opened(at: moment(0))
        for second in stride(from: Int64(1), through: 400, by: 1) {
            watch.trade(of: other, at: moment(second))
            watch.tick(at: moment(second))
        }
        #expect(topic.metrics.render().contains("feed_symbols_mute 1\n"))
        watch.trade(of: symbol, at: moment(401))
        watch.tick(at: moment(402))
        #expect(topic.metrics.render().contains("feed_symbols_mute 0\n"))
        #expect(topic.eventCount == 2)
        let events = try topic.feedEvents()
        #expect(events.map(\.kind) == [.symbolMute, .symbolResumed])
        #expect(events.allSatisfy { $0.symbol == symbol && $0.gapFrom == moment(0) })
        #expect(events[0].gapTo == nil && events[0].at == moment(300))
        #expect(events[1].gapTo == moment(401))
    }

    @Test func `a symbol whose market is closed is not mute`() throws {
        let topic = try TestTopic()
        // The 29th of August of 2026 is a Saturday.
        let saturday = Timestamp(microseconds: 1_787_990_400_000_000)
        let watch = topic.silence(of: ["AAPL"])
        watch.opened(at: saturday)
        for hour in Int64(1)...12 {
            watch.tick(at: Timestamp(microseconds: saturday.microseconds + hour * 3_600_000_000))
        }
        #expect(topic.eventCount == 0)
        #expect(topic.metrics.render().contains("feed_symbols_mute 0\n"))
    }

    @Test func `a file of market hours sets how long a symbol may be silent`() throws {
        let topic = try TestTopic()
        let calendar = try MarketCalendar(
            text: "market all\nsymbols *\nzone UTC\nsession regular Mon-Sun 00:00-24:00 mute-after 1m\n")
        let watch = topic.silence(of: ["BINANCE:BTCUSDT"], calendar)
        watch.opened(at: moment(0))
        watch.tick(at: moment(59))
        #expect(topic.eventCount == 0)
        watch.tick(at: moment(60))
        #expect(topic.eventCount == 1)
    }
}
