/// A moment in UTC, in microseconds since 1970-01-01.
package struct Timestamp: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// The feed's form: whole milliseconds since 1970. The caller keeps them inside `representableMilliseconds`.
    package init(milliseconds: Int64) {
        microseconds = milliseconds * 1000
    }

    /// The years 1970 to 9999: what a trade's time may be. Outside stand unit mistakes, not trades.
    package static let representableMilliseconds: ClosedRange<Int64> = 0...253_402_300_799_999

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Whole milliseconds since 1970, rounded down.
    package var milliseconds: Int64 { Calendar.floorDivide(microseconds, 1000) }
}

extension Timestamp {
    /// Reads a whole text as an RFC 3339 moment of the years 1970 to 9999; nil when it is none.
    package init?(_ text: some StringProtocol) {
        let bytes = Array("\"\(text)\"".utf8)
        var position = 0
        guard let time = try? bytes.span.scanTimestamp(&position), position == bytes.count else { return nil }
        self = time
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with six places, such as `2026-08-28T15:35:36.086000Z`.
    package var description: String {
        var writer = ByteWriter(capacity: 32)
        writer.write(self)
        return writer.string
    }
}

/// The proleptic Gregorian calendar on integers, after Howard Hinnant's `days_from_civil` and `civil_from_days`.
enum Calendar {
    static let microsecondsPerDay: Int64 = 86_400_000_000

    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    /// Year, month and day of a count of days since 1970-01-01.
    static func date(daysSince1970 days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    /// Days since 1970-01-01 of a date; the caller has checked month and day.
    static func daysSince1970(year: Int, month: Int, day: Int) -> Int64 {
        let shiftedYear = Int64(month <= 2 ? year - 1 : year)
        let era = floorDivide(shiftedYear, 400)
        let yearOfEra = shiftedYear - era * 400
        let shiftedMonth = Int64(month > 2 ? month - 3 : month + 9)
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func daysIn(month: Int, of year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
