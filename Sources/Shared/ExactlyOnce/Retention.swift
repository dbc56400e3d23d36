import ServiceKit

/// For how many days rows are kept; written `30d`.
package struct Retention: SettingValue, Equatable {
    /// Whole days of UTC before today; at least one.
    package let days: Int

    package static let typeName = "a number of days such as 30d"

    /// Makes one of so many days.
    package init(days: Int) {
        self.days = days
    }

    /// Reads what a setting says; nil when it is none.
    package init?(settingText text: String) {
        guard text.last == "d", let days = Int(text.dropLast()), 1...36_500 ~= days else { return nil }
        self.init(days: days)
    }
}
