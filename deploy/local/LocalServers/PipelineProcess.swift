import Foundation
import Glibc
import Synchronization

/// One of the pipeline's programs, running as a child of this process, with its log in a file.
package final class PipelineProcess: Sendable {
    /// An end that nobody asked for.
    package struct Death: Sendable, CustomStringConvertible {
        /// The process' name.
        package let name: String
        package let status: ExitStatus
        package let logFile: String
        /// The last lines of its log.
        package let lastLines: String

        package var description: String { "\(name) \(status); the end of \(logFile):\n\(lastLines)" }
    }

    /// What messages and the log file call it: the program's name, with a number where several run.
    package let name: String
    /// What it wrote to both its streams; later processes of the same name append.
    package let logFile: String
    package let child: ChildProcess

    /// How long it may take to stop before SIGKILL.
    let grace: Duration
    let runLog: ServerLog
    private let isAskedToEnd = Mutex(false)

    /// Starts the program; `onDeath` is called, on the cooperative pool, when it ends without `stop` or `kill`.
    init(
        _ name: String, program: String, arguments: [String], environment: [String: String], logFile: String,
        grace: Duration, onDeath: @escaping @Sendable (Death) -> Void
    ) throws(LocalServerError) {
        self.name = name
        self.logFile = logFile
        self.grace = grace
        runLog = ServerLog(path: logFile)
        child = try ChildProcess(program, arguments, environment: environment, output: .file(logFile))
        Task { [child, runLog, weak self] in
            guard let status = await child.wait(), let self, !isAskedToEnd.withLock({ $0 }) else { return }
            onDeath(Death(name: name, status: status, logFile: logFile, lastLines: runLog.tail))
        }
    }

    /// What this process has written so far.
    package var log: String { runLog.text }

    /// Asks it to end (SIGTERM) and waits; by SIGKILL after its grace.
    @discardableResult
    package func stop() async -> ExitStatus {
        isAskedToEnd.withLock { $0 = true }
        return await child.terminate(grace: grace)
    }

    /// Ends it by SIGKILL, as a crash would.
    @discardableResult
    package func kill() async -> ExitStatus {
        isAskedToEnd.withLock { $0 = true }
        return await child.terminate(SIGKILL)
    }

    /// Waits until the program has put its address into `file`, which it does at once, and returns that.
    func address(in file: String, limit: Duration) async throws(LocalServerError) -> String {
        var address = ""
        try await child.becomesReady(name, log: runLog, limit: limit) {
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            address = text.trimmingCharacters(in: .whitespacesAndNewlines)
            return !address.isEmpty
        }
        return address
    }

    /// Waits for a program that ends by itself.
    func succeed(limit: Duration) async throws(LocalServerError) {
        guard let status = await child.wait(limit) else {
            await kill()
            throw LocalServerError(
                .timedOut, "\(name) did not end within \(limit); the end of \(logFile):\n\(runLog.tail)")
        }
        guard status.isSuccess else {
            throw LocalServerError(.failed, "\(name) \(status); the end of \(logFile):\n\(runLog.tail)")
        }
    }
}
