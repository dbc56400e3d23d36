import TradeModel

/// The setting of when markets trade, which is the same for all programs that have to know.
package enum MarketOptions {
    package static let hoursFile = Setting<String>(
        "market-hours-file",
        help: "When the symbols' markets trade, instead of the built-in hours; docs/market-hours.md has the form.")

    /// The calendar that a program is told to use.
    /// - Throws: `ConfigurationError` when the file cannot be read, or is none.
    package static func calendar(_ configuration: Configuration) throws -> MarketCalendar {
        guard let path = configuration[optional: hoursFile] else { return .builtIn }
        do {
            return try MarketCalendar(text: try readTextFile(path))
        } catch {
            throw ConfigurationError("--\(hoursFile.name) '\(path)': \(error)")
        }
    }
}
