import Foundation
import Synchronization

extension ChildProcess {
    /// Runs a program to its end and returns what it wrote to standard output and standard error.
    ///
    /// - Throws: `.failed` with the last lines of the output when it does not exit with 0, `.timedOut` after `limit`.
    @discardableResult
    package static func run(
        _ program: String, _ arguments: [String] = [],
        environment: [String: String] = ProcessInfo.processInfo.environment,
        workingDirectory: String? = nil, user: String? = nil, limit: Duration = .seconds(120)
    ) async throws(LocalServerError) -> String {
        let lines = Lines()
        let child = try ChildProcess(
            program, arguments, environment: environment, workingDirectory: workingDirectory,
            output: .lines(lines.append), user: user)
        let name = URL(fileURLWithPath: program).lastPathComponent
        guard let status = await child.wait(limit) else {
            await child.terminate(grace: .seconds(1))
            throw LocalServerError(.timedOut, "\(name) did not end within \(limit)")
        }
        guard status.isSuccess else {
            throw LocalServerError(.failed, "\(name) \(status):\n\(lines.all.suffix(20).joined(separator: "\n"))")
        }
        return lines.all.joined(separator: "\n")
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }

        @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
    }
}
