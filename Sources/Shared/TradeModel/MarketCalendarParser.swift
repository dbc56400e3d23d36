/// Reads a calendar's text line by line.
struct MarketCalendarParser {
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// A market whose lines are being read.
    private struct Draft {
        let name: String
        let line: Int
        var patterns: [SymbolPattern] = []
        var zone: MarketZone?
        var sessions: [MarketHours.Rule] = []
        var shortSessions: [MarketHours.Rule] = []
        var closedDays: [DayRule] = []
        var shortDays: [DayRule] = []
    }

    private var entries: [MarketCalendar.Entry] = []
    private var draft: Draft?
    private var line = 0

    mutating func read(_ text: Substring, number: Int) throws(MarketCalendarError) {
        line = number
        let text = Self.trim(text.prefix { $0 != "#" })
        guard !text.isEmpty else { return }
        let keyword = text.prefix { !$0.isWhitespace }
        let value = Self.trim(text[keyword.endIndex...])
        guard ["market", "symbols", "zone", "session", "closed", "short"].contains(keyword) else {
            throw error("‘\(keyword)’ is none of market, symbols, zone, session, closed and short")
        }
        guard !value.isEmpty else { throw error("nothing follows ‘\(keyword)’") }
        if keyword == "market" {
            try endMarket()
            guard !entries.contains(where: { $0.hours.name == value }) else {
                throw error("there is a market ‘\(value)’ already")
            }
            draft = Draft(name: String(value), line: number)
            return
        }
        guard var market = draft else { throw error("‘\(keyword)’ stands before the first ‘market’ line") }
        switch keyword {
        case "symbols": for item in try list(value) { market.patterns.append(SymbolPattern(item)) }
        case "zone":
            guard market.zone == nil else { throw error("market ‘\(market.name)’ has a zone already") }
            market.zone = try zone(value)
        case "session": try addSession(value, to: &market)
        case "closed": market.closedDays += try dayRules(value, nyse: .nyseHolidays)
        default: market.shortDays += try dayRules(value, nyse: .nyseEarlyCloses)
        }
        draft = market
    }

    /// The markets, after the last line.
    mutating func finish() throws(MarketCalendarError) -> [MarketCalendar.Entry] {
        try endMarket()
        guard let last = entries.last else { throw error("there is no market") }
        guard last.patterns.contains(where: \.isCatchAll) else {
            throw error("no market takes the symbols that fit no pattern: give the last one the pattern *")
        }
        return entries
    }

    private mutating func endMarket() throws(MarketCalendarError) {
        guard let market = draft else { return }
        func missing(_ what: String) -> MarketCalendarError {
            MarketCalendarError(line: market.line, message: "market ‘\(market.name)’ has no \(what)")
        }
        guard !market.patterns.isEmpty else { throw missing("‘symbols’ line") }
        guard let zone = market.zone else { throw missing("‘zone’ line") }
        guard !market.sessions.isEmpty else { throw missing("‘session’ line for weekdays") }
        guard market.shortDays.isEmpty == market.shortSessions.isEmpty else {
            throw missing(market.shortDays.isEmpty ? "‘short’ line for its short sessions" : "session on short days")
        }
        if let earlier = entries.last, earlier.patterns.contains(where: \.isCatchAll) {
            let message = "market ‘\(market.name)’ is never reached: market ‘\(earlier.hours.name)’ takes every symbol"
            throw MarketCalendarError(line: market.line, message: message)
        }
        let hours = MarketHours(
            name: market.name, zone: zone, sessions: market.sessions, shortSessions: market.shortSessions,
            closedDays: market.closedDays, shortDays: market.shortDays)
        entries.append(MarketCalendar.Entry(patterns: market.patterns, hours: hours))
        draft = nil
    }

    private func addSession(_ value: Substring, to market: inout Draft) throws(MarketCalendarError) {
        let words = value.split(whereSeparator: \.isWhitespace)
        guard words.count == 5, words[3] == "mute-after" else {
            throw error("a session is such as ‘regular Mon-Fri 09:30-16:00 mute-after 15m’, not ‘\(value)’")
        }
        let isShort = words[1] == "short"
        let hours = words[2].split(separator: "-", omittingEmptySubsequences: false)
        guard hours.count == 2, let from = Self.minutes(hours[0]), let to = Self.minutes(hours[1]) else {
            throw error("‘\(words[2])’ is no time of day from 00:00 to 24:00, a hyphen and another")
        }
        guard from < 1440, to > 0 else { throw error("‘\(words[2])’: a day begins at 00:00 and ends at 24:00") }
        guard words[4].hasSuffix("m"), let mute = Self.number(words[4].dropLast(), digits: 1...5), mute > 0 else {
            throw error("‘\(words[4])’ is no number of minutes such as 15m")
        }
        let rule = MarketHours.Rule(
            session: MarketSession(name: String(words[0]), muteAfter: .seconds(mute * 60)),
            weekdays: isShort ? Set(Weekday.allCases) : try weekdays(words[1]),
            from: from < to ? from : from - 1440, to: to)
        for (others, areShort) in [(market.sessions, false), (market.shortSessions, true)] {
            for other in others where Self.overlap(rule, other, onSameDay: isShort == areShort) {
                throw error("session ‘\(words[0])’ overlaps session ‘\(other.session.name)’ of the same market")
            }
        }
        if isShort { market.shortSessions.append(rule) } else { market.sessions.append(rule) }
    }

    /// Whether two sessions meet on a trading day that both have, or one on the day before or after the other's.
    private static func overlap(_ left: MarketHours.Rule, _ right: MarketHours.Rule, onSameDay: Bool) -> Bool {
        for shift in -1...1 where shift != 0 || onSameDay {
            guard left.from < right.to + shift * 1440, right.from + shift * 1440 < left.to else { continue }
            if left.weekdays.contains(where: { right.weekdays.contains($0.advanced(by: shift)) }) { return true }
        }
        return false
    }

    private func weekdays(_ text: Substring) throws(MarketCalendarError) -> Set<Weekday> {
        var weekdays: Set<Weekday> = []
        for item in try list(text) {
            let ends = item.split(separator: "-", omittingEmptySubsequences: false).map { name in
                Self.days.firstIndex { $0 == name }.map { Weekday.allCases[$0] }
            }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1] else {
                throw error("‘\(item)’ is neither a day (Mon, Tue … Sun) nor two with a hyphen, nor ‘short’")
            }
            var day = first
            while day != last {
                weekdays.insert(day)
                day = day.advanced(by: 1)
            }
            weekdays.insert(last)
        }
        return weekdays
    }

    private func zone(_ text: Substring) throws(MarketCalendarError) -> MarketZone {
        if text == "New_York" { return .newYork }
        if text == "UTC" { return .fixed(minutes: 0) }
        guard text.hasPrefix("UTC+") || text.hasPrefix("UTC-"), let minutes = Self.minutes(text.dropFirst(4)),
            minutes <= 14 * 60
        else { throw error("‘\(text)’ is no zone: New_York, UTC, or a fixed offset such as UTC+05:30") }
        return .fixed(minutes: text.hasPrefix("UTC-") ? -minutes : minutes)
    }

    private func dayRules(_ text: Substring, nyse: DayRule) throws(MarketCalendarError) -> [DayRule] {
        var rules: [DayRule] = []
        for item in try list(text) {
            if item == "NYSE" {
                rules.append(nyse)
                continue
            }
            let parts = item.split(separator: "-", omittingEmptySubsequences: false)
            // Without a year the day may be a February 29.
            let year = parts.count == 3 ? Self.number(parts[0], digits: 4...4) : 2000
            guard 2...3 ~= parts.count, let year, let month = Self.number(parts[parts.count - 2], digits: 2...2),
                let day = Self.number(parts[parts.count - 1], digits: 2...2),
                1...12 ~= month, 1...Calendar.daysIn(month: month, of: year) ~= day
            else { throw error("‘\(item)’ is no date such as 2026-12-25, no yearly day such as 12-25, and not NYSE") }
            rules.append(
                parts.count == 2
                    ? .everyYear(month: month, day: day)
                    : .date(Calendar.daysSince1970(year: year, month: month, day: day)))
        }
        return rules
    }

    /// What stands between commas.
    private func list(_ text: Substring) throws(MarketCalendarError) -> [Substring] {
        let items = text.split(separator: ",", omittingEmptySubsequences: false).map(Self.trim)
        guard items.allSatisfy({ !$0.isEmpty }) else { throw error("‘\(text)’ has nothing before or after a comma") }
        return items
    }

    /// The minutes of a time of day, 00:00 to 24:00.
    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let hour = number(parts[0], digits: 2...2),
            let minute = number(parts[1], digits: 2...2), minute < 60, hour * 60 + minute <= 1440
        else { return nil }
        return hour * 60 + minute
    }

    private static func number(_ text: Substring, digits: ClosedRange<Int>) -> Int? {
        digits ~= text.count && text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int(text) : nil
    }

    private static func trim(_ text: Substring) -> Substring {
        let text = text.drop { $0.isWhitespace }
        return text.lastIndex { !$0.isWhitespace }.map { text[...$0] } ?? ""
    }

    private func error(_ message: String) -> MarketCalendarError {
        MarketCalendarError(line: line, message: message)
    }
}
