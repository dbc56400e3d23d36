import Foundation

/// Numbers and times as the screen writes them.
enum Text {
    static let missing = "–"

    /// `1234567` as `1,234,567`.
    static func number(_ value: Int64?) -> String {
        guard let value else { return missing }
        var groups: [Substring] = []
        var digits = Substring(String(value.magnitude))
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        groups.insert(digits, at: 0)
        return (value < 0 ? "-" : "") + groups.joined(separator: ",")
    }

    /// A rate, to the nearest whole number from 10 on.
    static func rate(_ value: Double?) -> String {
        guard let value else { return missing }
        return value > 0 && value < 9.95 ? String(format: "%.1f", value) : number(Int64(value.rounded()))
    }

    static func milliseconds(_ value: Double?) -> String {
        guard let value else { return missing }
        return value.magnitude < 9.95 ? String(format: "%.1f ms", value) : "\(number(Int64(value.rounded()))) ms"
    }

    /// `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. Clocks may differ: a trade of the future is 0 s old.
    static func age(_ seconds: Double?) -> String {
        guard let seconds else { return missing }
        switch seconds {
        case ..<9.95: return String(format: "%.1f s", max(0, seconds))
        case ..<120: return "\(Int(seconds.rounded())) s"
        case ..<7200: return "\(Int(seconds / 60)) min"
        case ..<172_800: return "\(Int(seconds / 3600)) h"
        default: return "\(Int(seconds / 86_400)) d"
        }
    }

    /// `00:01:23`.
    static func clock(_ duration: Duration) -> String {
        let seconds = Int(duration.components.seconds)
        return String(format: "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// At least `width` wide, flush left or right.
    static func left(_ text: String, _ width: Int) -> String { text + blanks(width - text.count) }
    static func right(_ text: String, _ width: Int) -> String { blanks(width - text.count) + text }

    /// At most `width` wide.
    static func fit(_ text: String, _ width: Int) -> String {
        if text.count <= width { return text }
        return width > 0 ? text.prefix(width - 1) + "…" : ""
    }

    private static func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
}
