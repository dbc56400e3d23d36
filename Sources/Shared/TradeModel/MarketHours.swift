/// A part of a market's day, such as `regular`.
package struct MarketSession: Hashable, Sendable {
    package let name: String
    /// How long a symbol may bring nothing in this session before it counts as mute.
    package let muteAfter: Duration
}

/// When one market trades: sessions of a week in the market's zone, closed days and short days.
///
/// A session belongs to the trading day on which it ends, and so do closed and short days: in a market with hours from 17:00
/// to 17:00, a closed December 25 begins on the 24th at 17:00.
package struct MarketHours: Sendable {
    /// How many days ahead a change is looked for.
    private static let horizon: Int64 = 400

    /// A session's hours on its trading days.
    struct Rule: Sendable {
        let session: MarketSession
        let weekdays: Set<Weekday>
        /// Minutes from the trading day's midnight; `from` is negative when the session begins on the day before.
        let from: Int
        let to: Int
    }

    /// The market's name in the calendar's text.
    package let name: String
    let zone: MarketZone
    let sessions: [Rule]
    /// What replaces `sessions` on short days; their weekdays do not count.
    let shortSessions: [Rule]
    let closedDays: [DayRule]
    let shortDays: [DayRule]

    /// The session at a moment; nil when the market is closed. A session's start belongs to it, its end does not.
    package func session(at time: Timestamp) -> MarketSession? {
        let today = day(at: time)
        for day in [today, today + 1] {
            for rule in rules(on: day) where start(of: rule, on: day) <= time && time < end(of: rule, on: day) {
                return rule.session
            }
        }
        return nil
    }

    /// Whether the market trades at a moment, in whatever session.
    package func isOpen(at time: Timestamp) -> Bool {
        session(at: time) != nil
    }

    /// When the next other session begins, or the market closes: the first moment after this one at which `session(at:)` is
    /// another; nil when that is more than 400 days ahead, as it always is for a market that never closes.
    package func nextChange(after time: Timestamp) -> Timestamp? {
        let current = session(at: time)
        let today = day(at: time)
        for day in today...today + Self.horizon {
            let edges = rules(on: day).flatMap { [start(of: $0, on: day), end(of: $0, on: day)] }
            for edge in edges.sorted() where edge > time && session(at: edge) != current { return edge }
        }
        return nil
    }

    /// When the market goes from closed to open next, after this moment; nil when that is more than 400 days ahead.
    package func nextOpening(after time: Timestamp) -> Timestamp? {
        next(after: time) { before, after in before == nil && after != nil }
    }

    /// When the market goes from open to closed next, after this moment; nil when that is more than 400 days ahead.
    package func nextClosing(after time: Timestamp) -> Timestamp? {
        next(after: time) { before, after in before != nil && after == nil }
    }

    private func next(
        after time: Timestamp, where isSought: (_ before: MarketSession?, _ after: MarketSession?) -> Bool
    ) -> Timestamp? {
        let end = time.microseconds + Self.horizon * Calendar.microsecondsPerDay
        var before = session(at: time)
        var change = nextChange(after: time)
        while let edge = change, edge.microseconds <= end {
            let after = session(at: edge)
            if isSought(before, after) { return edge }
            before = after
            change = nextChange(after: edge)
        }
        return nil
    }

    /// The day that the market's clock shows, since 1970-01-01.
    private func day(at time: Timestamp) -> Int64 {
        Calendar.floorDivide(zone.clock(at: time), Calendar.microsecondsPerDay)
    }

    private func rules(on day: Int64) -> [Rule] {
        let weekday = Weekday(daysSince1970: day)
        let ordinary = sessions.filter { $0.weekdays.contains(weekday) }
        guard !ordinary.isEmpty, !closedDays.contains(where: { $0.includes(day) }) else { return [] }
        return shortDays.contains { $0.includes(day) } ? shortSessions : ordinary
    }

    private func start(of rule: Rule, on day: Int64) -> Timestamp {
        zone.time(ofClock: day * Calendar.microsecondsPerDay + Int64(rule.from) * 60_000_000)
    }

    private func end(of rule: Rule, on day: Int64) -> Timestamp {
        zone.time(ofClock: day * Calendar.microsecondsPerDay + Int64(rule.to) * 60_000_000)
    }
}
