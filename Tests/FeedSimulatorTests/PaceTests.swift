import Testing

@testable import FeedSimulator

struct PaceTests {
    @Test(arguments: [1, 7, 200, 200_000])
    func `After T seconds exactly rate times T trades are due`(rate: Int) {
        let pace = Pace(rate: rate, from: moment(.zero).instant)
        #expect(pace.due(at: moment(.zero).instant) == 0)
        #expect(pace.due(at: moment(.seconds(1)).instant) == rate)
        #expect(pace.due(at: moment(.milliseconds(2500)).instant) == rate * 5 / 2)
        #expect(pace.due(at: moment(.seconds(86_400 * 365)).instant) == rate * 86_400 * 365)
    }

    @Test func `However often it is asked no trade is lost to rounding`() {
        var pace = Pace(rate: 333, from: moment(.zero).instant)
        var sum = 0
        for step in 1...30_000 {
            let due = pace.due(at: moment(.microseconds(100 * step)).instant)
            pace.take(due)
            sum += due
        }
        #expect(sum == 999)
    }

    @Test func `What is not taken stays due`() {
        var pace = Pace(rate: 100, from: moment(.zero).instant)
        pace.take(10)
        #expect(pace.due(at: moment(.seconds(3)).instant) == 290)
    }

    @Test func `The market's feed sends what is due in frames of the given size and no more than allowed`() throws {
        var feed = MarketFeed(Market(symbols: MarketSymbol.all(extra: 0), seed: 1), rate: 100, maxFrameTrades: 30)
        var frame = FrameWriter()
        #expect(feed.due(at: moment(.seconds(5))) == 0)
        #expect(feed.writeFrame(&frame, at: moment(.seconds(5)), allowance: .max) == nil)
        feed.subscribe(try symbol("AAPL"), at: moment(.seconds(10)))
        var sizes: [Int] = []
        while let size = feed.writeFrame(&frame, at: moment(.seconds(11)), allowance: .max) { sizes.append(size) }
        #expect(sizes == [30, 30, 30, 10])
        #expect(feed.writeFrame(&frame, at: moment(.seconds(12)), allowance: 3) == 3)
        #expect(feed.writeFrame(&frame, at: moment(.seconds(12)), allowance: 0) == nil)
        feed.unsubscribe(try symbol("AAPL"))
        #expect(feed.due(at: moment(.seconds(60))) == 0)
        feed.subscribe(try symbol("AMZN"), at: moment(.seconds(60)))
        #expect(feed.due(at: moment(.seconds(61))) == 100)
    }
}
