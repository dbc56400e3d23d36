/// Where a market's clock stands: at a fixed distance from UTC, or in New York with its daylight saving time.
///
/// New York's rules are those in force since 2007; earlier years are taken by them too.
enum MarketZone: Equatable, Sendable {
    case fixed(minutes: Int)
    case newYork

    private static let microsecondsPerHour: Int64 = 3_600_000_000

    /// What the market's clock shows at a moment, in microseconds since its own 1970-01-01T00:00.
    func clock(at time: Timestamp) -> Int64 {
        time.microseconds + offset(at: time)
    }

    /// The moment at which the market's clock shows this. An hour that comes twice is taken the first time; one that is
    /// left out counts on from the hour before it.
    func time(ofClock clock: Int64) -> Timestamp {
        switch self {
        case .fixed(let minutes): return Timestamp(microseconds: clock - Int64(minutes) * 60_000_000)
        case .newYork:
            let summer = Timestamp(microseconds: clock + 4 * Self.microsecondsPerHour)
            return Self.isSummer(summer) ? summer : Timestamp(microseconds: clock + 5 * Self.microsecondsPerHour)
        }
    }

    private func offset(at time: Timestamp) -> Int64 {
        switch self {
        case .fixed(let minutes): Int64(minutes) * 60_000_000
        case .newYork: Self.isSummer(time) ? -4 * Self.microsecondsPerHour : -5 * Self.microsecondsPerHour
        }
    }

    /// Whether New York has daylight saving time: from the second Sunday in March to the first in November, each at 02:00
    /// of the clock that ends.
    private static func isSummer(_ time: Timestamp) -> Bool {
        let days = Calendar.floorDivide(time.microseconds, Calendar.microsecondsPerDay)
        let year = Calendar.date(daysSince1970: days).year
        let march = Weekday.sunday.first(onOrAfter: Calendar.daysSince1970(year: year, month: 3, day: 8))
        let november = Weekday.sunday.first(onOrAfter: Calendar.daysSince1970(year: year, month: 11, day: 1))
        let start = march * Calendar.microsecondsPerDay + 7 * microsecondsPerHour
        let end = november * Calendar.microsecondsPerDay + 6 * microsecondsPerHour
        return start <= time.microseconds && time.microseconds < end
    }
}
