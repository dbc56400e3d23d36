import Foundation
import LocalServers
import Synchronization

/// Lines that a child's handler brought.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
}

/// Polls until `condition` holds; false when it does not even after the deadline.
func eventually(within limit: Duration = .seconds(20), _ condition: () throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    // Once more: on a busy machine the whole limit may pass while this task waits for a thread.
    return try condition()
}

/// True while a process with this id exists and is no zombie.
func isAlive(_ pid: Int32) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return false }
    return !status.contains("State:\tZ")
}

/// Runs SQL through psql over TCP and returns the bare values.
func query(_ server: PostgresServer, _ sql: String, database: String = "postgres") async throws -> String {
    try await ChildProcess.run(
        "psql", ["-XAtqv", "ON_ERROR_STOP=1", "-d", server.connectionString(database: database), "-c", sql],
        limit: .seconds(20))
}
