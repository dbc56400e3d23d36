import Foundation
import Synchronization

/// How many scenarios have been played and passed: the last one closes the run with a line.
final class Tally: Sendable {
    static let shared = Tally()

    private let counts = Mutex((played: 0, passed: 0))

    func add(passed: Bool) {
        let line = counts.withLock { counts -> String? in
            counts.played += 1
            counts.passed += passed ? 1 : 0
            guard counts.played == FaultTests.chosen.count else { return nil }
            return "scenarios=\(Scenarios.names.count(where: Scenarios.isChosen)) passed=\(counts.passed)"
        }
        guard let line else { return }
        // At the beginning of a line, whatever else is being written.
        FileHandle.standardOutput.write(Data("\n\(line)\n".utf8))
    }
}
