import Foundation
import TestSupport
import Testing

@testable import TradeModel

private typealias Calendar = TradeModel.Calendar

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (1_787_931_336_086_000, "2026-08-28T15:35:36.086000Z"),
            (1_721_555_886_254_321, "2024-07-21T09:58:06.254321Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"), (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] as [(Int64, String)])
    func `a moment is written as RFC 3339 with six places`(microseconds: Int64, text: String) {
        #expect(Timestamp(microseconds: microseconds).description == text)
    }

    @Test func `milliseconds are rounded down, also before 1970`() {
        #expect(Timestamp(milliseconds: 1_721_555_886_208).microseconds == 1_721_555_886_208_000)
        #expect(Timestamp(microseconds: 1999).milliseconds == 1)
        #expect(Timestamp(microseconds: 0).milliseconds == 0)
        #expect(Timestamp(microseconds: -1).milliseconds == -1)
        #expect(Timestamp(microseconds: -1000).milliseconds == -1)
        #expect(Timestamp(microseconds: -1001).milliseconds == -2)
        #expect(Timestamp(microseconds: 1) < Timestamp(microseconds: 2))
    }

    @Test func `the years 1970 to 9999 are what a trade's time may be`() {
        #expect(
            Timestamp(milliseconds: Timestamp.representableMilliseconds.lowerBound).description.hasPrefix(
                "1970-01-01T00:00"))
        let last = Timestamp(milliseconds: Timestamp.representableMilliseconds.upperBound)
        #expect(last.description == "9999-12-31T23:59:59.999000Z")
    }

    @Test func `dates agree with Foundation's on random days from year 1 to 9999`() throws {
        var foundation = Foundation.Calendar(identifier: .gregorian)
        foundation.timeZone = try #require(TimeZone(identifier: "UTC"))
        let seed: UInt64 = 3
        var random = SplitMix64(seed: seed)
        for run in 0..<20_000 {
            let days = Int64(-719_162 + random.below(3_652_059))
            let date = Calendar.date(daysSince1970: days)
            let back = Calendar.daysSince1970(year: date.year, month: date.month, day: date.day)
            // Foundation's calendar turns Julian before 1582-10-15: such days are looked up 1600 years, four whole
            // cycles of the Gregorian calendar, later.
            let cycles = days < -141_427 ? 4 : 0
            let expected = foundation.dateComponents(
                [.year, .month, .day],
                from: Date(timeIntervalSince1970: Double(days + Int64(cycles * 146_097)) * 86_400))
            guard date.year + cycles * 400 == expected.year, date.month == expected.month, date.day == expected.day,
                back == days
            else {
                Issue.record("seed \(seed), run \(run): day \(days) is \(date), not \(expected), and back \(back)")
                return
            }
        }
    }

    @Test func `every day from year 1 to 9999 follows the day before it`() {
        var (year, month, day) = (1, 1, 1)
        var days = Calendar.daysSince1970(year: 1, month: 1, day: 1)
        #expect(days == -719_162)
        while year < 10_000 {
            let date = Calendar.date(daysSince1970: days)
            guard date == (year, month, day), Calendar.daysSince1970(year: year, month: month, day: day) == days else {
                Issue.record("\(days) is \(date), not \(year)-\(month)-\(day)")
                return
            }
            days += 1
            day += 1
            if day > Calendar.daysIn(month: month, of: year) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(days == 2_932_897)
    }

    @Test func `descriptions agree with Foundation's over random moments`() throws {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: false)
        let seed: UInt64 = 4
        var random = SplitMix64(seed: seed)
        for run in 0..<5000 {
            let seconds = Int64(-12_219_292_800 + random.below(265_621_593_600))
            let fraction = random.below(1_000_000)
            let text = Timestamp(microseconds: seconds * 1_000_000 + Int64(fraction)).description
            let places = String(String(1_000_000 + fraction).dropFirst())
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(style).dropLast() + "." + places + "Z"
            guard text == expected else {
                Issue.record("seed \(seed), run \(run): \(text), not \(expected)")
                return
            }
        }
    }

    @Test(arguments: Grain.allCases)
    func `a window starts at or before the moment and ends after it`(grain: Grain) {
        let seed: UInt64 = 5
        var random = SplitMix64(seed: seed)
        for run in 0..<1000 {
            let time = Timestamp(microseconds: Int64(random.below(4_000_000_000_000_000)) - 2_000_000_000_000_000)
            let start = grain.start(of: time)
            guard start <= time, time.microseconds - start.microseconds < grain.microseconds,
                start.microseconds % grain.microseconds == 0, grain.start(of: start) == start
            else {
                Issue.record("seed \(seed), run \(run): \(time) starts at \(start)")
                return
            }
        }
    }

    @Test func `windows are aligned to UTC`() {
        let time = Timestamp(microseconds: 1_721_555_886_254_321)
        #expect(Grain.second.start(of: time).description == "2024-07-21T09:58:06.000000Z")
        #expect(Grain.minute.start(of: time).description == "2024-07-21T09:58:00.000000Z")
        #expect(Grain.hour.start(of: time).description == "2024-07-21T09:00:00.000000Z")
        #expect(Grain.hour.start(of: Timestamp(microseconds: -1)).description == "1969-12-31T23:00:00.000000Z")
        #expect(Grain.allCases.map(\.rawValue) == ["1s", "1m", "1h"])
    }
}
