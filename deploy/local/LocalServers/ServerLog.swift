import Foundation

/// A server's log file, read from where it ended when the server was started this time.
struct ServerLog {
    let path: String
    private let start: UInt64

    init(path: String) {
        self.path = path
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        start = (attributes?[.size] as? NSNumber)?.uint64Value ?? 0
    }

    /// What this run has written so far.
    var text: String {
        guard let file = FileHandle(forReadingAtPath: path) else { return "" }
        defer { try? file.close() }
        try? file.seek(toOffset: start)
        return String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
    }

    /// The last lines of this run, for an error message.
    var tail: String { Self.tail(text) }

    /// The last lines of a file, whichever run wrote them.
    static func tail(of path: String) -> String { tail((try? String(contentsOfFile: path, encoding: .utf8)) ?? "") }

    private static func tail(_ text: String) -> String {
        text.split(separator: "\n").suffix(20).joined(separator: "\n")
    }
}

extension ChildProcess {
    /// Polls until `isReady`. When the server ends, or `limit` passes, or the task is cancelled, the server is ended
    /// and the error names the cause and the last lines of the log.
    func becomesReady(
        _ name: String, log: ServerLog, limit: Duration, isReady: () -> Bool
    ) async throws(LocalServerError) {
        let deadline = ContinuousClock.now + limit
        while isRunning {
            if isReady() { return }
            let isCancelled = (try? await Task.sleep(for: .milliseconds(10))) == nil
            guard isCancelled || ContinuousClock.now >= deadline else { continue }
            await terminate(SIGKILL)
            let cause = isCancelled ? "was cancelled while it started" : "was not ready within \(limit)"
            throw LocalServerError(.timedOut, "\(name) \(cause); the end of \(log.path):\n\(log.tail)")
        }
        let status = await wait()
        throw LocalServerError(
            .failed,
            "\(name) \(status?.description ?? "ended") at its start; the end of \(log.path):\n\(log.tail)"
        )
    }
}
