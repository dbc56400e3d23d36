import Foundation
import Testing

@testable import TradeModel

@Suite struct MarketCalendarTextTests {
    @Test(
        arguments: [
            ("", 1, "no market"),
            ("# nothing\n", 2, "no market"),
            ("zone UTC", 1, "before the first"),
            ("market", 1, "nothing follows"),
            ("market a\nhours 1", 2, "‘hours’ is none of"),
            ("market a\nzone Paris", 2, "‘Paris’ is no zone"),
            ("market a\nzone UTC+25:00", 2, "is no zone"),
            ("market a\nzone UTC\nzone UTC", 3, "a zone already"),
            ("market a\nsymbols X,,Y", 2, "a comma"),
            ("market a\nsession regular Mon-Fri 09:30-16:00", 2, "a session is such as"),
            ("market a\nsession regular Mon-Fri 09:30-16:00 silent 5m", 2, "a session is such as"),
            ("market a\nsession regular Mon-Fry 09:30-16:00 mute-after 5m", 2, "‘Mon-Fry’ is neither"),
            ("market a\nsession regular Mon-Tue-Fri 09:30-16:00 mute-after 5m", 2, "‘Mon-Tue-Fri’ is neither"),
            ("market a\nsession regular Mon 9:30-16:00 mute-after 5m", 2, "‘9:30-16:00’ is no time of day"),
            ("market a\nsession regular Mon 09:60-16:00 mute-after 5m", 2, "no time of day"),
            ("market a\nsession regular Mon 09:30-24:01 mute-after 5m", 2, "no time of day"),
            ("market a\nsession regular Mon 09:30 mute-after 5m", 2, "no time of day"),
            ("market a\nsession regular Mon 18:00-00:00 mute-after 5m", 2, "ends at 24:00"),
            ("market a\nsession regular Mon 24:00-09:00 mute-after 5m", 2, "begins at 00:00"),
            ("market a\nsession regular Mon 09:30-16:00 mute-after 5", 2, "‘5’ is no number of minutes"),
            ("market a\nsession regular Mon 09:30-16:00 mute-after 0m", 2, "‘0m’ is no number of minutes"),
            ("market a\nsession regular Mon 09:30-16:00 mute-after -5m", 2, "no number of minutes"),
            (
                "market a\nsession x Mon-Wed 09:00-16:00 mute-after 5m\nsession y Wed 15:59-17:00 mute-after 5m", 3,
                "session ‘y’ overlaps session ‘x’"
            ),
            (
                "market a\nsession x Mon 17:00-16:00 mute-after 5m\nsession y Sun 09:00-18:00 mute-after 5m", 3,
                "session ‘y’ overlaps session ‘x’"
            ),
            (
                "market a\nsession x short 09:00-13:00 mute-after 5m\nsession y short 12:00-14:00 mute-after 5m", 3,
                "overlaps"
            ),
            ("market a\nclosed 2026-02-29", 2, "‘2026-02-29’ is no date"),
            ("market a\nclosed 13-01", 2, "‘13-01’ is no date"),
            ("market a\nclosed 2026-1-1", 2, "is no date"),
            ("market a\nclosed NYSE, LSE", 2, "‘LSE’ is no date"),
            ("market a\nshort 12", 2, "‘12’ is no date"),
            ("\nmarket a\nzone UTC\nsession x Mon 09:00-10:00 mute-after 5m\n", 2, "market ‘a’ has no ‘symbols’"),
            ("market a\nsymbols *\nsession x Mon 09:00-10:00 mute-after 5m", 1, "has no ‘zone’"),
            ("market a\nsymbols *\nzone UTC\nmarket b", 1, "market ‘a’ has no ‘session’"),
            (
                "market a\nsymbols *\nzone UTC\nsession x Mon 09:00-10:00 mute-after 5m\nshort 12-24", 1,
                "no session on short days"
            ),
            (
                """
                market a
                symbols *
                zone UTC
                session x Mon 09:00-10:00 mute-after 5m
                session x short 09:00-09:30 mute-after 5m
                """, 1, "no ‘short’ line"
            ),
            (
                "market a\nsymbols A*\nzone UTC\nsession x Mon 09:00-10:00 mute-after 5m", 4,
                "give the last one the pattern *"
            ),
            (
                """
                market a
                symbols *
                zone UTC
                session x Mon 09:00-10:00 mute-after 5m
                market b
                symbols B
                zone UTC
                session x Mon 09:00-10:00 mute-after 5m
                """, 5, "market ‘b’ is never reached"
            ),
            ("market a\nsymbols A\nzone UTC\nsession x Mon 09:00-10:00 mute-after 5m\nmarket a", 5, "‘a’ already"),
        ])
    func `a mistake is named with its line`(text: String, line: Int, message: String) throws {
        let error = try #require(throws: MarketCalendarError.self) { try MarketCalendar(text: text) }
        #expect(error.line == line)
        #expect(error.message.contains(message), "\(error)")
        #expect(error.description.hasPrefix("line \(line): "))
    }

    @Test func `a user's text sets zones, breaks, nights, closed and short days`() throws {
        let calendar = try MarketCalendar(
            text: """
                market tokyo\r
                symbols *.T, TSE:*   # by suffix or prefix\r
                zone UTC+09:00
                session afternoon Mon-Fri 12:30-15:30 mute-after 20m
                session morning Mon-Fri 09:00-11:30 mute-after 10m
                session morning short 09:00-10:00 mute-after 10m
                closed 01-02, 2026-08-11
                short 12-30

                market gulf
                symbols GULF:A*Z
                zone UTC-03:30
                session regular Sun-Tue,Thu 10:00-15:00 mute-after 5m

                market metals
                symbols *
                zone New_York
                session night Mon-Fri 21:00-02:30 mute-after 5m
                """)
        let tokyo = calendar.hours(of: "7203.T")
        #expect(tokyo.name == "tokyo" && calendar.hours(of: "TSE:1").name == "tokyo")
        #expect(tokyo.session(at: moment("2026-08-10T09:00:00+09:00"))?.name == "morning")
        #expect(tokyo.session(at: moment("2026-08-10T11:30:00+09:00")) == nil)
        #expect(tokyo.nextChange(after: moment("2026-08-10T01:00:00+09:00")) == moment("2026-08-10T09:00:00+09:00"))
        #expect(tokyo.nextClosing(after: moment("2026-08-10T01:00:00+09:00")) == moment("2026-08-10T11:30:00+09:00"))
        let afternoon = MarketSession(name: "afternoon", muteAfter: .seconds(1200))
        #expect(tokyo.session(at: moment("2026-08-10T12:30:00+09:00")) == afternoon)
        #expect(!tokyo.isOpen(at: moment("2026-08-11T10:00:00+09:00")))
        #expect(!tokyo.isOpen(at: moment("2029-01-02T10:00:00+09:00")))
        #expect(tokyo.isOpen(at: moment("2026-12-30T09:59:59+09:00")))
        #expect(!tokyo.isOpen(at: moment("2026-12-30T10:00:00+09:00")))

        let gulf = calendar.hours(of: "GULF:ABAZ")
        #expect(gulf.name == "gulf" && calendar.hours(of: "GULF:ABA").name == "metals")
        #expect(gulf.isOpen(at: moment("2026-08-09T10:00:00-03:30")))  // a Sunday
        #expect(!gulf.isOpen(at: moment("2026-08-12T10:00:00-03:30")))
        #expect(gulf.isOpen(at: moment("2026-08-13T14:59:59-03:30")))

        // Monday's night begins on Sunday evening.
        let metals = calendar.hours(of: "XAU")
        #expect(metals.nextOpening(after: moment("2026-08-08T12:00:00-04:00")) == moment("2026-08-09T21:00:00-04:00"))
        #expect(metals.nextClosing(after: moment("2026-08-09T21:00:00-04:00")) == moment("2026-08-10T02:30:00-04:00"))
        #expect(!metals.isOpen(at: moment("2026-08-14T22:00:00-04:00")))
    }

    @Test func `a short day that falls on a weekend stays closed`() throws {
        let hours = try MarketCalendar(
            text: """
                market a
                symbols *
                zone UTC
                session x Mon-Fri 09:00-17:00 mute-after 5m
                session x short 09:00-12:00 mute-after 5m
                short 12-24
                """
        ).hours(of: "A")
        #expect(!hours.isOpen(at: moment("2028-12-24T10:00:00Z")))
        #expect(hours.isOpen(at: moment("2029-12-24T10:00:00Z")) && !hours.isOpen(at: moment("2029-12-24T12:00:00Z")))
    }

    @Test(
        arguments: [
            ("*", "", true), ("*", "x", true), ("a", "a", true), ("a", "ab", false), ("a", "", false),
            ("*:*", "a:b", true), ("*:*", ":", true), ("*:*", "ab", false), ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXc", false), ("*ab", "aab", true), ("é*", "éa", true), ("A", "a", false), ("**", "x", true),
        ])
    func `a star in a pattern stands for any text`(pattern: String, symbol: String, isMatch: Bool) throws {
        #expect(SymbolPattern(pattern).matches(try #require(ShortText(symbol))) == isMatch)
    }

    @Test func `the documentation shows the built-in calendar as it is`() throws {
        var root = URL(filePath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        let page = try String(contentsOf: root.appending(path: "docs/market-hours.md"), encoding: .utf8)
        #expect(page.contains("```\n\(MarketCalendar.builtInText)```"))
    }
}
