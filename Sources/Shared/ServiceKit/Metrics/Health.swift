import Synchronization

/// Whether a program can do its work: a list of conditions, each with the reason why it does not hold.
package final class Health: Sendable {
    private let conditions = Mutex<[(name: String, problem: @Sendable () -> String?)]>([])

    package init() {}

    /// Adds a condition; `problem` answers why it does not hold, nil when it does. It must not block.
    package func require(_ name: String, _ problem: @escaping @Sendable () -> String?) {
        conditions.withLock { $0.append((name, problem)) }
    }

    /// The conditions that do not hold, a line each as `name: reason`; empty when the program is ready.
    package var problems: [String] {
        conditions.withLock { $0 }.compactMap { condition in
            condition.problem().map { problem in
                let lines = problem.split(whereSeparator: \.isNewline)
                return "\(condition.name): \(lines.joined(separator: " "))"
            }
        }
    }
}
