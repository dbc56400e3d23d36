import Foundation
import LocalServers
import TestSupport
import Testing

/// Each body runs in a process of its own that then dies; what it started must be gone.
///
/// One at a time, since Swift Testing blocks a thread of the cooperative pool while such a process runs.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct ParentDeathTests {
    @Test func `a child dies with a parent that SIGKILL ends`() async throws {
        let folder = try TemporaryDirectory()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.path as String] in
            let child = try ChildProcess("sleep", ["60"])
            try await eventually("the child sleeps") { sleeps(child.pid) }
            try String(child.pid).write(toFile: "\(path)/pid", atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let pid = try #require(Int32(try String(contentsOfFile: "\(folder.path)/pid", encoding: .utf8)))
        try await eventually("the child dies") { !isAlive(pid) }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can start a program as another user"))
    func `a child that runs as another user dies with its parent too`() async throws {
        let folder = try TemporaryDirectory()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.path as String] in
            let child = try ChildProcess("sleep", ["60"], user: "nobody")
            try await eventually("the child sleeps") { sleeps(child.pid) }
            try String(child.pid).write(toFile: "\(path)/pid", atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let pid = try #require(Int32(try String(contentsOfFile: "\(folder.path)/pid", encoding: .utf8)))
        try await eventually("the child dies") { !isAlive(pid) }
    }

    @Test func `PostgreSQL ends with a parent that SIGKILL ends, and its data are kept`() async throws {
        let folder = try TemporaryDirectory()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.path as String] in
            let server = try PostgresServer(directory: "\(path)/pg", durability: .disposable)
            try await server.start()
            _ = try await query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
            try String(try #require(server.pid)).write(toFile: "\(path)/pid", atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let pid = try #require(Int32(try String(contentsOfFile: "\(folder.path)/pid", encoding: .utf8)))
        try await eventually("the child dies") { !isAlive(pid) }
        let again = try PostgresServer(directory: "\(folder.path)/pg", durability: .disposable)
        try await again.start()
        #expect(try await query(again, "SELECT answer FROM kept") == "42")
        await again.stop()
    }

    @Test func `an ordinary exit takes children and temporary directories along`() async throws {
        let folder = try TemporaryDirectory()
        await #expect(processExitsWith: .exitCode(3)) { [path = folder.path as String] in
            let server = try PostgresServer(durability: .disposable)
            try await server.start()
            try "\(try #require(server.pid)) \(server.directory)"
                .write(toFile: "\(path)/left", atomically: true, encoding: .utf8)
            exit(3)
        }
        let left = try String(contentsOfFile: "\(folder.path)/left", encoding: .utf8).split(
            separator: " ", maxSplits: 1)
        #expect(!isAlive(try #require(Int32(left[0]))))
        #expect(!FileManager.default.fileExists(atPath: String(left[1])))
        #expect(!FileManager.default.fileExists(atPath: (String(left[1]) as NSString).deletingLastPathComponent))
    }
}

/// True once the program itself runs: setpriv, which starts it, has asked for the parent-death signal by then.
private func sleeps(_ pid: Int32) -> Bool {
    (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "sleep\n"
}
