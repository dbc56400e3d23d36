import ServiceKit
import TradeModel

/// Whole hours of UTC, from one up to, and without, another.
struct HourRange: Equatable, CustomStringConvertible {
    let from: Timestamp
    let to: Timestamp

    static let from = Setting<Moment>(
        "from", help: "The first moment, such as 2026-08-28T15:00:00Z; the beginning else.")
    static let to = Setting<Moment>("to", help: "The moment behind the last, such as 2026-08-29; now else.")

    /// What was asked for, widened outwards to full hours.
    /// - Throws: `ConfigurationError` when that is no stretch of time.
    init(from: Timestamp?, to: Timestamp?, now: Timestamp = .now()) throws(ConfigurationError) {
        let first = from ?? Timestamp(microseconds: 0)
        let end = to ?? now
        guard first < end else { throw ConfigurationError("--from \(first) is not before --to \(end)") }
        self.from = Grain.hour.start(of: first)
        self.to = Grain.hour.start(of: Timestamp(microseconds: end.microseconds + Grain.hour.microseconds - 1))
    }

    init(_ configuration: Configuration) throws(ConfigurationError) {
        try self.init(from: configuration[optional: Self.from]?.time, to: configuration[optional: Self.to]?.time)
    }

    /// One hour.
    init(hour: Timestamp) {
        from = hour
        to = Timestamp(microseconds: hour.microseconds + Grain.hour.microseconds)
    }

    var description: String { "\(from) to \(to)" }

    /// The condition in SQL that a moment is inside.
    func contains(_ moment: String) -> String {
        "\(moment) >= \(from.sql) AND \(moment) < \(to.sql)"
    }
}

extension Timestamp {
    /// A whole second as a constant of SQL: also of the year 10000, which ends the last hour.
    var sql: String { "to_timestamp(\(microseconds / 1_000_000))" }
}

/// A moment as a setting: a date, or RFC 3339.
struct Moment: SettingValue {
    let time: Timestamp

    static let typeName = "a moment such as 2026-08-28T15:00:00Z, or a date in UTC"

    init?(settingText text: String) {
        guard let time = Timestamp(text) ?? Timestamp("\(text)T00:00:00Z") else { return nil }
        self.time = time
    }
}
