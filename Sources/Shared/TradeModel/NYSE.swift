/// The New York Stock Exchange's holidays and early closes by the rules in force since 2022, Juneteenth's first year.
///
/// Days are counts since 1970-01-01 of New York's calendar. What the exchange decides on single occasions, such as a day of
/// mourning, is no rule and stands in the calendar's text.
enum NYSE {
    /// Whether the exchange keeps a holiday on this day, weekends aside.
    static func isHoliday(_ day: Int64) -> Bool {
        holidays(of: Calendar.date(daysSince1970: day).year).contains(day)
    }

    /// Whether trading ends at 13:00: the day after Thanksgiving, and July 3 and December 24 when they are trading days.
    static func isEarlyClose(_ day: Int64) -> Bool {
        let (year, month, dayOfMonth) = Calendar.date(daysSince1970: day)
        switch (month, dayOfMonth) {
        case (7, 3), (12, 24):
            return Weekday(daysSince1970: day).rawValue <= Weekday.friday.rawValue && !isHoliday(day)
        case (11, _): return day == thanksgiving(of: year) + 1
        default: return false
        }
    }

    private static func holidays(of year: Int) -> [Int64] {
        func date(_ month: Int, _ day: Int) -> Int64 { Calendar.daysSince1970(year: year, month: month, day: day) }
        var days = [
            Weekday.monday.first(onOrAfter: date(1, 15)),  // Martin Luther King Jr. Day
            Weekday.monday.first(onOrAfter: date(2, 15)),  // Washington's Birthday
            easter(of: year) - 2,  // Good Friday
            Weekday.monday.first(onOrAfter: date(5, 25)),  // Memorial Day
            observed(date(7, 4)),
            Weekday.monday.first(onOrAfter: date(9, 1)),  // Labor Day
            thanksgiving(of: year),
            observed(date(12, 25)),
        ]
        // Not on the Friday before: December 31 ends the year's books.
        if Weekday(daysSince1970: date(1, 1)) != .saturday { days.append(observed(date(1, 1))) }
        if year >= 2022 { days.append(observed(date(6, 19))) }
        return days
    }

    private static func thanksgiving(of year: Int) -> Int64 {
        Weekday.thursday.first(onOrAfter: Calendar.daysSince1970(year: year, month: 11, day: 22))
    }

    /// A holiday on a Saturday is kept on the Friday before, one on a Sunday on the Monday after.
    private static func observed(_ day: Int64) -> Int64 {
        switch Weekday(daysSince1970: day) {
        case .saturday: day - 1
        case .sunday: day + 1
        default: day
        }
    }

    /// Easter Sunday of the Gregorian calendar, by the anonymous algorithm of 1876 (Meeus, Jones and Butcher).
    private static func easter(of year: Int) -> Int64 {
        let golden = year % 19
        let (century, yearOfCentury) = (year / 100, year % 100)
        let correction = (century - (century + 8) / 25 + 1) / 3
        let epact = (19 * golden + century - century / 4 - correction + 15) % 30
        let weekday = (32 + 2 * (century % 4) + 2 * (yearOfCentury / 4) - epact - yearOfCentury % 4) % 7
        let shift = (golden + 11 * epact + 22 * weekday) / 451
        let monthAndDay = epact + weekday - 7 * shift + 114
        return Calendar.daysSince1970(year: year, month: monthAndDay / 31, day: monthAndDay % 31 + 1)
    }
}
