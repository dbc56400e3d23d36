import ExactlyOnce
import Foundation
import ProgramTestSupport
import Testing

/// Where a reader fails, with which of its batches, and how.
struct FailureCase: Sendable, CustomTestStringConvertible {
    /// Which batch has the failure: the trades come in as many portions.
    enum Batch: Int, CaseIterable {
        case first, middle, last
    }

    enum Action: String, CaseIterable {
        /// The process is gone, and another one is started.
        case crash
        /// The process stands still for longer than its session in the group, and goes on when another one has taken over.
        case stop
        /// The connection to the database is lost.
        case cut
        /// A statement of the transaction fails, and nobody looks.
        case spoil
    }

    let program: String
    let point: Failpoint
    let batch: Batch
    let action: Action
    /// Whether batches are stored in steps, as large ones are, where these small ones would be by one statement.
    var inSteps = false

    var testDescription: String {
        "\(program) \(point.rawValue) \(batch) \(action.rawValue)\(inSteps ? " in steps" : "")"
    }

    /// The consumer at each point with each batch; on the embedded broker, whose groups take their time, with one.
    static func consumer(_ action: Action) -> [FailureCase] {
        let batches = Broker.kafkaHome == nil ? [.middle] : Batch.allCases
        let cases = Failpoint.allCases.flatMap { point in
            batches.map { FailureCase(program: "consumer", point: point, batch: $0, action: action) }
        }
        let inSteps = [.afterEncode, .afterSendingCommit, .afterCommitTag].map {
            FailureCase(program: "consumer", point: $0, batch: .middle, action: action, inSteps: true)
        }
        return (cases + inSteps).filter(\.isPossible)
    }

    /// The KPI service shares all of the way with the consumer but what it writes, and has no COPY.
    static func kpiService(_ action: Action) -> [FailureCase] {
        [.afterEncode, .beforeCompareAndSet, .afterCompareAndSet, .afterSendingCommit, .afterCommitTag].map {
            FailureCase(program: "kpi-service", point: $0, batch: .middle, action: action)
        }.filter(\.isPossible)
    }

    /// All of an action that are asked for.
    static func all(_ action: Action) -> [FailureCase] { (consumer(action) + kpiService(action)).asked }

    private var isPossible: Bool {
        switch action {
        case .crash, .stop: true
        // The thread that reads has no connection.
        case .cut: point != .afterPoll && point != .inRevoke
        case .spoil: point == .afterCompareAndSet
        }
    }
}

extension Array where Element: CustomTestStringConvertible {
    /// All, or those of them that `FAILURES` describes, with semicolons between.
    var asked: [Element] {
        let words = (ProcessInfo.processInfo.environment["FAILURES"] ?? "").split(separator: ";")
        return filter { failure in words.isEmpty || words.contains { failure.testDescription.contains($0) } }
    }
}
