import Testing

@testable import TradeModel

@Suite struct SymbolSilenceTests {
    private let apple = ShortText("AAPL")!
    private let bitcoin = ShortText("BINANCE:BTCUSDT")!
    private let euro = ShortText("OANDA:EUR_USD")!

    /// Ticks every second after `start` until `end`, and gives what was found with the moment of the tick.
    private static func run(
        _ silence: inout SymbolSilence, from start: Timestamp, to end: Timestamp
    ) -> [(at: Timestamp, action: SymbolSilenceAction)] {
        var found: [(at: Timestamp, action: SymbolSilenceAction)] = []
        var now = start
        while now < end {
            now = now + 1
            found += silence.tick(at: now).map { (now, $0) }
        }
        return found
    }

    private static func silence(_ symbols: ShortText..., at now: Timestamp) -> SymbolSilence {
        var silence = SymbolSilence(calendar: .builtIn)
        for symbol in symbols { silence.subscribe(symbol, at: now) }
        return silence
    }

    @Test func `a silence is reported once, when it is as long as it may be, and its end with its length`() {
        let start = moment("2026-08-28T03:00:00Z")
        var silence = Self.silence(bitcoin, at: start)
        #expect(silence.trade(of: bitcoin, at: start + 10) == nil)
        let found = Self.run(&silence, from: start + 10, to: start + 3600)
        #expect(found.map(\.action) == [.mute(bitcoin, since: start + 10)])
        #expect(found.map(\.at) == [start + 310])
        #expect(silence.activity(of: bitcoin) == .mute(since: start + 10))
        #expect(silence.trade(of: bitcoin, at: start + 3610) == .resumed(bitcoin, silentFor: .seconds(3600)))
        #expect(silence.activity(of: bitcoin) == .active)
        #expect(silence.trade(of: bitcoin, at: start + 3611) == nil)
        #expect(silence.tick(at: start + 3910).isEmpty)
        #expect(silence.tick(at: start + 3911) == [.mute(bitcoin, since: start + 3611)])
    }

    @Test func `a symbol's last trade is kept over a reconnect, and trades of others are only counted`() {
        let start = moment("2026-08-28T03:00:00Z")
        var silence = Self.silence(bitcoin, apple, at: start)
        #expect(silence.lastTrade(of: bitcoin) == nil)
        #expect(silence.trade(of: bitcoin, at: start + 5) == nil)
        #expect(silence.trade(of: euro, at: start + 6) == nil)
        silence.subscribe(bitcoin, at: start + 7)
        _ = silence.tick(at: start + 8)
        #expect(silence.lastTrade(of: bitcoin) == start + 5)
        #expect(silence.lastTrade(of: apple) == nil && silence.lastTrade(of: euro) == nil)
        #expect(silence.unwatchedTrades == 1)
        silence.unsubscribe(bitcoin)
        #expect(silence.trade(of: bitcoin, at: start + 9) == nil)
        #expect(silence.lastTrade(of: bitcoin) == nil && silence.unwatchedTrades == 2)
    }

    @Test func `one symbol falls mute while the others go on`() {
        let start = moment("2026-08-28T10:30:00-04:00")
        var silence = Self.silence(apple, bitcoin, euro, at: start)
        var found: [SymbolSilenceAction] = []
        for second in 1...1800 as ClosedRange<Int64> {
            if second % 60 == 0 { #expect(silence.trade(of: bitcoin, at: start + second) == nil) }
            found += silence.tick(at: start + second)
        }
        #expect(found == [.mute(euro, since: start), .mute(apple, since: start)])
        #expect(silence.activity(of: bitcoin) == .active)
    }

    @Test func `a symbol never seen counts from its subscription`() {
        let start = moment("2026-08-28T10:30:00-04:00")
        var silence = Self.silence(bitcoin, at: start)
        silence.subscribe(apple, at: start + 100)
        #expect(silence.tick(at: start + 999).first == .mute(bitcoin, since: start))
        #expect(silence.tick(at: start + 999).isEmpty)
        #expect(silence.tick(at: start + 1000) == [.mute(apple, since: start + 100)])
    }

    @Test func `nothing is expected over a weekend, and the clock starts anew at the opening`() {
        // A Friday evening to Monday morning; the euro opens on Sunday.
        let start = moment("2026-08-28T19:59:00-04:00")
        var silence = Self.silence(apple, euro, at: start)
        #expect(silence.activity(of: euro) == .closed && silence.activity(of: apple) == .active)
        let sunday = moment("2026-08-30T17:00:00-04:00")
        let monday = moment("2026-08-31T04:00:00-04:00")
        let found = Self.run(&silence, from: start, to: moment("2026-08-31T08:00:00-04:00"))
        #expect(found.map(\.action) == [.mute(euro, since: sunday), .mute(apple, since: monday)])
        #expect(found.map(\.at) == [sunday + 300, monday + 7200])
    }

    @Test func `the closing of the market ends a silence without a word`() {
        let close = moment("2026-08-28T20:00:00-04:00")
        var silence = Self.silence(apple, at: close + -10_800)
        #expect(silence.tick(at: close + -1) == [.mute(apple, since: close + -10_800)])
        #expect(silence.tick(at: close).isEmpty)
        #expect(silence.activity(of: apple) == .closed)
        // A straggler after the closing is no news either.
        #expect(silence.trade(of: apple, at: close + 600) == nil)
        #expect(silence.activity(of: apple) == .closed)
        let monday = moment("2026-08-31T04:00:00-04:00")
        #expect(silence.tick(at: monday).isEmpty)
        #expect(silence.activity(of: apple) == .active)
    }

    @Test func `a closing between two ticks ends a silence too, though the market is open at both`() {
        let friday = moment("2026-08-28T12:00:00-04:00")
        let monday = moment("2026-08-31T12:00:00-04:00")
        var silence = Self.silence(apple, at: friday)
        #expect(silence.tick(at: friday + 900) == [.mute(apple, since: friday)])
        // Nobody listened meanwhile, so the clock starts with the session or, if others were passed over, with the tick.
        #expect(silence.tick(at: monday).isEmpty)
        #expect(silence.activity(of: apple) == .active)
        #expect(silence.tick(at: monday + 900) == [.mute(apple, since: monday)])
    }

    @Test func `each session has its own patience, and its clock starts with it`() {
        let start = moment("2026-08-28T08:00:00-04:00")
        let bell = moment("2026-08-28T09:30:00-04:00")
        var silence = Self.silence(apple, at: start)
        let found = Self.run(&silence, from: start, to: bell + 1800)
        #expect(found.map(\.action) == [.mute(apple, since: bell)])
        #expect(found.map(\.at) == [bell + 900])
    }

    @Test func `a silence that lasts into the next session is one silence`() {
        let start = moment("2026-08-28T05:00:00-04:00")
        var silence = Self.silence(apple, at: start)
        let found = Self.run(&silence, from: start, to: moment("2026-08-28T19:59:59-04:00"))
        #expect(found.map(\.action) == [.mute(apple, since: start)])
        let seconds: Int64 = 15 * 3600 - 1
        #expect(silence.trade(of: apple, at: start + seconds) == .resumed(apple, silentFor: .seconds(seconds)))
    }

    @Test func `nothing is expected on a holiday`() {
        // Thanksgiving of 2026; the day after it closes early, with trades until 17:00.
        let start = moment("2026-11-25T20:00:00-05:00")
        let friday = moment("2026-11-27T04:00:00-05:00")
        var silence = Self.silence(apple, at: start)
        #expect(Self.run(&silence, from: start, to: friday + 7199).isEmpty)
        #expect(silence.tick(at: friday + 7200) == [.mute(apple, since: friday)])
    }

    @Test func `after an early close the patience is that of the late session, and ends with it`() {
        let start = moment("2026-11-27T12:50:00-05:00")
        let close = moment("2026-11-27T13:00:00-05:00")
        var silence = Self.silence(apple, at: start)
        let found = Self.run(&silence, from: start, to: moment("2026-11-27T21:00:00-05:00"))
        #expect(found.map(\.action) == [.mute(apple, since: close)])
        #expect(found.map(\.at) == [close + 7200])
        #expect(silence.activity(of: apple) == .closed)
    }

    @Test(
        arguments: [
            ("2026-03-06T20:00:00-05:00", "2026-03-09T08:00:00Z"),
            ("2026-10-30T20:00:00-04:00", "2026-11-02T09:00:00Z"),
        ])
    func `the opening after New York's clock leapt is found`(close: String, opening: String) {
        var silence = Self.silence(apple, bitcoin, at: moment(close))
        let opening = moment(opening)
        let found = Self.run(&silence, from: moment(close), to: opening + 7200)
        #expect(found.map(\.action) == [.mute(bitcoin, since: moment(close)), .mute(apple, since: opening)])
        #expect(found.last?.at == opening + 7200)
    }

    @Test func `a new subscription after a reconnect starts the clock anew, but does not end a silence`() {
        let start = moment("2026-08-28T03:00:00Z")
        var silence = Self.silence(bitcoin, at: start)
        silence.subscribe(bitcoin, at: start + 200)
        #expect(silence.tick(at: start + 499).isEmpty)
        #expect(silence.tick(at: start + 500) == [.mute(bitcoin, since: start + 200)])
        silence.subscribe(bitcoin, at: start + 600)
        #expect(silence.tick(at: start + 2000).isEmpty)
        #expect(silence.trade(of: bitcoin, at: start + 2000) == .resumed(bitcoin, silentFor: .seconds(1800)))
    }

    @Test func `a symbol that is not watched is passed over`() {
        let start = moment("2026-08-28T15:00:00Z")
        var silence = Self.silence(apple, bitcoin, euro, at: start)
        silence.unsubscribe(apple)
        silence.unsubscribe(apple)
        #expect(silence.activity(of: apple) == nil)
        #expect(silence.trade(of: apple, at: start) == nil)
        #expect(silence.trade(of: euro, at: start + 60) == nil)
        #expect(silence.tick(at: start + 1000) == [.mute(bitcoin, since: start), .mute(euro, since: start + 60)])
        silence.unsubscribe(bitcoin)
        silence.unsubscribe(euro)
        #expect(silence.tick(at: start + 5000).isEmpty)
    }

    @Test func `a clock that is set back raises no alarm and does not hide a silence for longer`() {
        let start = moment("2026-08-28T03:00:00Z")
        var silence = Self.silence(bitcoin, at: start)
        let back = start + -86_400
        #expect(silence.tick(at: back).isEmpty)
        #expect(silence.tick(at: back + 299).isEmpty)
        #expect(silence.tick(at: back + 300) == [.mute(bitcoin, since: back)])
    }
}
