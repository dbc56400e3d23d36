import ExactlyOnce
import Testing

/// Where the KPI service fails in what it does beside the trades, or `rebuild` does, and how.
struct PeriodicFailureCase: Sendable, CustomTestStringConvertible {
    let point: PeriodicFailpoint
    let action: FailureCase.Action

    var testDescription: String { "kpi-service \(point.rawValue) \(action.rawValue)" }

    /// What an armed program is told.
    /// - Parameter number: from which number on the point fires.
    func environment(number: Int) -> [String: String] {
        ["TICKSTREAM_FAILPOINT": "\(point.rawValue):number=\(number):\(action.rawValue)"]
    }

    /// A crash and a cut at each of these points, as far as they are asked for.
    static func all(_ points: PeriodicFailpoint...) -> [PeriodicFailureCase] {
        points.flatMap { point in
            [FailureCase.Action.crash, .cut].map { PeriodicFailureCase(point: point, action: $0) }
        }.asked
    }
}
