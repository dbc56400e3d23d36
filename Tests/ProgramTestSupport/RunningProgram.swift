import Foundation
import LocalServers
import Synchronization
import TestSupport

/// One of the project's programs as a child process, which does not outlive this object.
package final class RunningProgram: Sendable {
    package let name: String
    package let child: ChildProcess
    /// Where a producer keeps what Kafka has not got, unless the test names a place.
    private let spool: TemporaryDirectory
    private let output = Lines()
    private let errors = Lines()

    /// Starts a program with a clean environment, and monitoring on a free port: the one that was built, or that which
    /// `CONSUMER_PROGRAM`, `KPI_SERVICE_PROGRAM` and so on name.
    /// - Parameter directory: where it runs; there it may leave a core file as large as the system allows.
    package init(
        _ name: String, _ arguments: [String] = [], _ environment: [String: String] = [:], in directory: String? = nil
    ) throws {
        self.name = name
        var variables = Self.surroundings
        variables["MONITORING_LISTEN"] = "127.0.0.1:0"
        spool = try TemporaryDirectory(prefix: "tickstream-spool")
        variables["SPOOL_DIRECTORY"] = spool.path
        let other = ProcessInfo.processInfo.environment["\(name.uppercased().replacing("-", with: "_"))_PROGRAM"]
        var command = [try other ?? BuiltPrograms().path(of: name)] + arguments
        if directory != nil { command = ["sh", "-c", #"ulimit -c "$(ulimit -H -c)"; exec "$0" "$@""#] + command }
        child = try ChildProcess(
            command[0], Array(command.dropFirst()),
            environment: variables.merging(environment) { _, given in given }, workingDirectory: directory,
            output: .lines(output.append), errors: .lines(errors.append))
    }

    /// Runs a program that ends by itself.
    package static func run(
        _ name: String, _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) async throws -> Ended {
        let program = try RunningProgram(name, arguments, environment)
        let status = try await program.end()
        return Ended(status: status, output: program.output.text, errors: program.errors.text)
    }

    /// A program's end, and all that it wrote.
    package struct Ended: CustomStringConvertible {
        package let status: ExitStatus
        package let output: String
        package let errors: String

        package var description: String { "\(status)\n\(output)\n\(errors)" }
    }

    /// What it wrote to standard error so far.
    package var log: String { errors.text }
    /// What it wrote to standard output and to standard error so far.
    package var allOutput: String { output.text + errors.text }

    /// What a failure should show of it.
    package var lastLines: String {
        "--- \(name) \(child.exitStatus.map { "\($0)" } ?? "runs")\n" + errors.all.suffix(15).joined(separator: "\n")
    }

    /// Asks until `condition` holds; a failure shows the last lines of the log.
    package func wait(for what: String, _ condition: () async throws -> Bool) async throws {
        do {
            try await eventually(what) {
                if try await condition() { return true }
                guard child.isRunning else { throw TestFailure("\(name) has ended while waiting for: \(what)") }
                return false
            }
        } catch {
            throw TestFailure("\(error)\n\(lastLines)")
        }
    }

    /// Waits until the log says this, `count` times.
    package func waitForLog(_ words: String, count: Int = 1) async throws {
        try await wait(for: "'\(words)' in the log") {
            errors.all.count { $0.contains(words) } >= count
        }
    }

    /// Waits for its end.
    package func end() async throws -> ExitStatus {
        guard let status = await child.wait(hangLimit) else {
            throw TestFailure("\(name) has not ended within \(hangLimit)\n\(lastLines)")
        }
        return status
    }

    /// Sends SIGTERM and expects the program to end well.
    /// - Throws: `TestFailure` when it ends otherwise, or not at all.
    package func stop() async throws {
        child.kill(SIGTERM)
        let status = try await end()
        guard status.isSuccess else { throw TestFailure("\(status)\n\(lastLines)") }
    }

    /// This process' environment without what steers the programs.
    private static let surroundings = ProcessInfo.processInfo.environment.filter { variable in
        !["KAFKA_", "PG", "FINNHUB_", "DATABASE_", "FEED_", "MONITORING_", "LOG_", "SPOOL_"].contains {
            variable.key.hasPrefix($0)
        }
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        var text: String { all.joined(separator: "\n") }

        @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
    }
}
