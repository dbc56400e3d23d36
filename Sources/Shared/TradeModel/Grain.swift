/// The length of the windows that rollups are kept for.
package enum Grain: String, CaseIterable, Sendable {
    case second = "1s"
    case minute = "1m"
    case hour = "1h"

    /// The window's length in microseconds. A day divides by each, so windows are aligned to UTC.
    package var microseconds: Int64 {
        switch self {
        case .second: 1_000_000
        case .minute: 60_000_000
        case .hour: 3_600_000_000
        }
    }

    /// The start of the window that a moment falls into.
    package func start(of time: Timestamp) -> Timestamp {
        Timestamp(microseconds: Calendar.floorDivide(time.microseconds, microseconds) * microseconds)
    }
}
