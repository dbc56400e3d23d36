import Foundation
import LocalServers
import Synchronization
import TestSupport

/// Lines that a child's handler brought.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
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
        limit: hangLimit)
}
