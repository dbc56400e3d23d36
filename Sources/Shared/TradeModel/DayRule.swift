/// Which days differ from their weekday's ordinary hours, by the market's own calendar.
enum DayRule: Sendable {
    /// One day, as days since 1970-01-01.
    case date(Int64)
    case everyYear(month: Int, day: Int)
    case nyseHolidays
    case nyseEarlyCloses

    func includes(_ day: Int64) -> Bool {
        switch self {
        case .date(let date): return date == day
        case .everyYear(let month, let dayOfMonth):
            let date = Calendar.date(daysSince1970: day)
            return date.month == month && date.day == dayOfMonth
        case .nyseHolidays: return NYSE.isHoliday(day)
        case .nyseEarlyCloses: return NYSE.isEarlyClose(day)
        }
    }
}
