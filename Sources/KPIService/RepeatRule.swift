import ServiceKit

/// What becomes of a trade that was identical to one shortly before, as its producer says (`repeat` above 0).
enum RepeatRule: String, CaseIterable, SettingValue {
    /// It counts like any other.
    case count
    /// It counts in no rollup.
    case ignore

    static let typeName = "count or ignore"

    static let setting = Setting<RepeatRule>(
        "repeats", default: "count",
        help: "Whether trades that were identical to one within 120 s before count in the rollups, or are left out "
            + "(ignore); each row says how it was made.")

    init?(settingText text: String) { self.init(rawValue: text) }
}
