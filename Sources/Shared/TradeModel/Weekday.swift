/// A day of the week, from Monday on, as most exchanges count them.
enum Weekday: Int, CaseIterable, Sendable {
    case monday, tuesday, wednesday, thursday, friday, saturday, sunday

    /// The weekday of a count of days since 1970-01-01, a Thursday.
    init(daysSince1970 days: Int64) {
        self = Self.allCases[Int((days % 7 + 10) % 7)]
    }

    /// The weekday so many days later.
    func advanced(by days: Int) -> Weekday {
        Self.allCases[((rawValue + days) % 7 + 7) % 7]
    }

    /// The first day of this weekday on or after a day, both as days since 1970-01-01.
    func first(onOrAfter day: Int64) -> Int64 {
        day + Int64((rawValue - Weekday(daysSince1970: day).rawValue + 7) % 7)
    }
}
