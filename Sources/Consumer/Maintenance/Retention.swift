import ServiceKit

/// For how many days rows are kept; written `30d`.
struct Retention: SettingValue, Equatable {
    /// Whole days of UTC before today; at least one.
    let days: Int

    static let typeName = "a number of days such as 30d"

    init(days: Int) {
        self.days = days
    }

    init?(settingText text: String) {
        guard text.last == "d", let days = Int(text.dropLast()), 1...36_500 ~= days else { return nil }
        self.init(days: days)
    }
}
