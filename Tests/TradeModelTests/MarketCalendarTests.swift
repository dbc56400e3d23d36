import Foundation
import TestSupport
import Testing

@testable import TradeModel

private typealias Calendar = TradeModel.Calendar

@Suite struct MarketCalendarTests {
    private let stocks = MarketCalendar.builtIn.hours(of: "AAPL")
    private let forex = MarketCalendar.builtIn.hours(of: "OANDA:EUR_USD")

    @Test(
        arguments: [
            ("AAPL", "us-stocks"), ("BRK.B", "us-stocks"), ("BINANCE:BTCUSDT", "crypto"),
            ("KRAKEN:XBT/USD", "crypto"), ("NOBODY:KNOWS", "crypto"), ("OANDA:EUR_USD", "forex"),
            ("IC MARKETS:1", "forex"), ("FXCM:EUR/USD", "forex"), ("FOREXCOM:EURUSD", "forex"),
            ("PEPPERSTONEUK:1", "forex"),
        ])
    func `a symbol's form tells its market`(symbol: String, market: String) {
        #expect(MarketCalendar.builtIn.hours(of: symbol).name == market)
    }

    @Test func `the exchange's holidays and early closes are those it has published for 2020 to 2030`() {
        var (holidays, earlyCloses): (Set<String>, Set<String>) = ([], [])
        for day in Self.days(of: PublishedNYSE.years) {
            let weekday = Weekday(daysSince1970: day)
            if NYSE.isHoliday(day) { holidays.insert(Self.text(day)) }
            if NYSE.isEarlyClose(day) { earlyCloses.insert(Self.text(day)) }
            #expect(!NYSE.isHoliday(day) || (weekday != .saturday && weekday != .sunday), "\(Self.text(day))")
        }
        #expect(holidays == PublishedNYSE.holidays)
        #expect(earlyCloses == PublishedNYSE.earlyCloses)
    }

    @Test func `sessions of US stocks agree with Foundation and the published days at random moments`() throws {
        var calendar = Foundation.Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "America/New_York"))
        let seed: UInt64 = 11
        var random = SplitMix64(seed: seed)
        let start = moment("2020-01-01T05:00:00Z")
        let seconds = (moment("2031-01-01T05:00:00Z").microseconds - start.microseconds) / 1_000_000
        for run in 0..<20_000 {
            // Half of them on the minute, where sessions begin and end.
            var second = Int64(random.below(Int(seconds)))
            if random.oneIn(2) { second -= second % 1800 }
            let time = start + second
            let parts = calendar.dateComponents(
                [.year, .month, .day, .weekday, .hour, .minute],
                from: Date(timeIntervalSince1970: Double(time.microseconds / 1_000_000)))
            let expected = try Self.session(parts)
            guard stocks.session(at: time)?.name == expected else {
                Issue.record("seed \(seed), run \(run): \(time) is not in \(expected ?? "no session")")
                return
            }
        }
    }

    @Test func `New York's clock agrees with Foundation's from 2007 to 2036, both ways`() throws {
        let newYork = try #require(TimeZone(identifier: "America/New_York"))
        let seed: UInt64 = 12
        var random = SplitMix64(seed: seed)
        let year = 31_556_952
        for run in 0..<20_000 {
            let second = Int64(1_167_627_600 + random.below(30 * year))
            let offset = Int64(newYork.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))))
            let time = Timestamp(microseconds: second * 1_000_000)
            let clock = MarketZone.newYork.clock(at: time)
            let back = MarketZone.newYork.time(ofClock: clock)
            // In the hour that comes twice, the way back leads to the first.
            let isRepeated = back + 3600 == time && MarketZone.newYork.clock(at: back) == clock
            guard clock == (second + offset) * 1_000_000, back == time || isRepeated else {
                Issue.record("seed \(seed), run \(run): \(time) is \(clock) on the clock, and back \(back)")
                return
            }
        }
    }

    @Test(
        arguments: [
            ("2026-03-08T06:59:59Z", "2026-03-08T01:59:59Z"), ("2026-03-08T07:00:00Z", "2026-03-08T03:00:00Z"),
            ("2026-11-01T05:59:59Z", "2026-11-01T01:59:59Z"), ("2026-11-01T06:00:00Z", "2026-11-01T01:00:00Z"),
            ("2027-03-14T07:00:00Z", "2027-03-14T03:00:00Z"), ("2027-11-07T06:00:00Z", "2027-11-07T01:00:00Z"),
        ])
    func `New York's clock leaps on the second Sunday in March and the first in November`(utc: String, clock: String) {
        #expect(MarketZone.newYork.clock(at: moment(utc)) == moment(clock).microseconds)
    }

    @Test func `a time that the leap leaves out or repeats is taken by the offset before it`() {
        let zone = MarketZone.newYork
        #expect(zone.time(ofClock: moment("2026-03-08T02:30:00Z").microseconds) == moment("2026-03-08T07:30:00Z"))
        #expect(zone.time(ofClock: moment("2026-11-01T01:30:00Z").microseconds) == moment("2026-11-01T05:30:00Z"))
    }

    @Test func `the stock market opens an hour earlier in UTC after the leap in March, and later after November's`() {
        #expect(stocks.nextOpening(after: moment("2026-03-06T22:00:00-05:00")) == moment("2026-03-09T08:00:00Z"))
        #expect(stocks.nextOpening(after: moment("2026-03-05T22:00:00-05:00")) == moment("2026-03-06T09:00:00Z"))
        #expect(stocks.nextOpening(after: moment("2026-10-30T22:00:00-04:00")) == moment("2026-11-02T09:00:00Z"))
        #expect(stocks.session(at: moment("2026-03-09T13:30:00Z"))?.name == "regular")
        #expect(stocks.session(at: moment("2026-11-02T14:29:59Z"))?.name == "pre")
    }

    @Test func `a day of US stocks has three sessions, a short one shorter ones`() {
        func sessions(_ day: String, _ offset: String) -> [String] {
            let morning = ["03:59:59", "04:00:00", "09:29:59", "09:30:00", "12:59:59"]
            let afternoon = ["13:00:00", "15:59:59", "16:00:00", "19:59:59", "20:00:00"]
            return (morning + afternoon).map { stocks.session(at: moment("\(day)T\($0)\(offset)"))?.name ?? "-" }
        }
        #expect(
            sessions("2026-07-02", "-04:00")
                == ["-", "pre", "pre", "regular", "regular", "regular", "regular", "post", "post", "-"])
        #expect(
            sessions("2026-11-27", "-05:00")
                == ["-", "pre", "pre", "regular", "regular", "post", "post", "post", "-", "-"])
        #expect(sessions("2026-11-26", "-05:00") == Array(repeating: "-", count: 10))
        #expect(stocks.nextClosing(after: moment("2026-11-27T12:00:00-05:00")) == moment("2026-11-27T17:00:00-05:00"))
        #expect(stocks.nextChange(after: moment("2026-11-27T12:00:00-05:00")) == moment("2026-11-27T13:00:00-05:00"))
        #expect(stocks.session(at: moment("2025-01-09T12:00:00-05:00")) == nil)
    }

    @Test func `currencies trade from Sunday to Friday, 17 o'clock in New York`() {
        #expect(forex.isOpen(at: moment("2026-08-28T16:59:59-04:00")))
        #expect(!forex.isOpen(at: moment("2026-08-28T17:00:00-04:00")))
        #expect(!forex.isOpen(at: moment("2026-08-30T16:59:59-04:00")))
        #expect(forex.isOpen(at: moment("2026-08-30T17:00:00-04:00")))
        #expect(forex.nextClosing(after: moment("2026-08-30T17:00:00-04:00")) == moment("2026-09-04T17:00:00-04:00"))
        // Across both leaps the week begins and ends at 17 o'clock of the clock that holds then.
        #expect(forex.nextOpening(after: moment("2026-03-06T17:00:00-05:00")) == moment("2026-03-08T21:00:00Z"))
        #expect(forex.nextOpening(after: moment("2026-10-30T17:00:00-04:00")) == moment("2026-11-01T22:00:00Z"))
        #expect(forex.nextClosing(after: moment("2026-03-01T17:00:00-05:00")) == moment("2026-03-06T22:00:00Z"))
    }

    @Test func `currencies rest on the trading days of Christmas and New Year`() {
        #expect(forex.nextClosing(after: moment("2025-12-22T12:00:00-05:00")) == moment("2025-12-24T17:00:00-05:00"))
        #expect(forex.nextOpening(after: moment("2025-12-24T17:00:00-05:00")) == moment("2025-12-25T17:00:00-05:00"))
        #expect(forex.nextClosing(after: moment("2025-12-29T12:00:00-05:00")) == moment("2025-12-31T17:00:00-05:00"))
        #expect(forex.nextOpening(after: moment("2025-12-31T17:00:00-05:00")) == moment("2026-01-01T17:00:00-05:00"))
        // A Sunday's Christmas takes nothing from the week; a Monday's takes its first day.
        #expect(forex.isOpen(at: moment("2022-12-25T18:00:00-05:00")))
        #expect(forex.nextOpening(after: moment("2023-12-22T17:00:00-05:00")) == moment("2023-12-25T17:00:00-05:00"))
    }

    @Test func `crypto never closes`() {
        let crypto = MarketCalendar.builtIn.hours(of: "BINANCE:BTCUSDT")
        for time in [moment("2025-12-25T00:00:00Z"), moment("2026-03-08T07:00:00Z"), Timestamp(microseconds: 0)] {
            #expect(crypto.isOpen(at: time) && crypto.nextChange(after: time) == nil)
            #expect(crypto.nextOpening(after: time) == nil && crypto.nextClosing(after: time) == nil)
        }
    }

    @Test(arguments: ["AAPL", "OANDA:EUR_USD"])
    func `up to the next opening, closing and change nothing changes, and there it does`(symbol: String) {
        let hours = MarketCalendar.builtIn.hours(of: symbol)
        let seed: UInt64 = 13
        var random = SplitMix64(seed: seed)
        for run in 0..<60 {
            let time = moment("2020-01-01T00:00:00Z") + Int64(random.below(11 * 31_556_952))
            guard let opening = hours.nextOpening(after: time), let closing = hours.nextClosing(after: time),
                let change = hours.nextChange(after: time)
            else {
                Issue.record("seed \(seed), run \(run): nothing ever changes after \(time)")
                return
            }
            let before = { (edge: Timestamp) in Timestamp(microseconds: edge.microseconds - 1) }
            var isRight = time < opening && hours.isOpen(at: opening) && !hours.isOpen(at: before(opening))
            isRight = isRight && time < closing && !hours.isOpen(at: closing) && hours.isOpen(at: before(closing))
            isRight = isRight && time < change && change <= min(opening, closing)
            isRight = isRight && hours.session(at: change) != hours.session(at: before(change))
            // All hours of the built-in markets begin and end on five minutes.
            let wasOpen = hours.isOpen(at: time)
            let session = hours.session(at: time)
            var probe = time
            while isRight, probe < min(opening, closing) {
                isRight = hours.isOpen(at: probe) == wasOpen && (probe >= change || hours.session(at: probe) == session)
                probe = probe + 300
            }
            guard isRight else {
                Issue.record("seed \(seed), run \(run): \(time) to \(opening), \(closing), \(change)")
                return
            }
        }
    }

    private static func days(of years: ClosedRange<Int>) -> Range<Int64> {
        Calendar.daysSince1970(
            year: years.lowerBound, month: 1, day: 1)..<Calendar.daysSince1970(
                year: years.upperBound + 1, month: 1, day: 1)
    }

    private static func text(_ day: Int64) -> String {
        String(Timestamp(microseconds: day * Calendar.microsecondsPerDay).description.prefix(10))
    }

    /// The session of a moment in New York, told from the published days alone.
    private static func session(_ parts: DateComponents) throws -> String? {
        let (year, month, day) = try (#require(parts.year), #require(parts.month), #require(parts.day))
        let date = String(format: "%04d-%02d-%02d", year, month, day)
        guard let weekday = parts.weekday, 2...6 ~= weekday, !PublishedNYSE.holidays.contains(date),
            date != PublishedNYSE.mourning
        else { return nil }
        let isShort = PublishedNYSE.earlyCloses.contains(date)
        switch try #require(parts.hour) * 60 + #require(parts.minute) {
        case 240..<570: return "pre"
        case 570..<(isShort ? 780 : 960): return "regular"
        case (isShort ? 780 : 960)..<(isShort ? 1020 : 1200): return "post"
        default: return nil
        }
    }
}
