import Foundation
import Glibc
import LocalServers
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct PipelineRunTests {
    @Test func `A run stores trades, leaves nothing behind, and the next one goes on with its data`() async throws {
        let directory = try TemporaryDirectory(prefix: "pipeline-run")
        let first = try LocalRun(in: directory.path)
        try await eventually("all programs run") { first.processes.count > 6 }
        let parts = try ["topic", "consumer", "kpi-service"].map { try Regex("\($0) [1-9][0-9,.]*/s, [1-9]") }
        try await first.awaitOutput("a line with all rates") { line in parts.allSatisfy { line.contains($0) } }
        first.child.kill(SIGTERM)
        #expect(await first.child.wait(hangLimit) == .exited(0), "\(first.output)")
        #expect(first.processes.isEmpty)
        let rows = try await storedTrades(in: directory.path)
        #expect(rows > 0)

        // This one ends by itself.
        let second = try LocalRun(in: directory.path, environment: ["MAX_SECONDS": "20"])
        #expect(await second.child.wait(hangLimit) == .exited(0), "\(second.output)")
        #expect(second.processes.isEmpty)
        #expect(try await storedTrades(in: directory.path) > rows)
    }

    @Test func `A second run in the same directory is refused, and a program that dies ends the first`() async throws {
        let directory = try TemporaryDirectory(prefix: "pipeline-run")
        let run = try LocalRun(in: directory.path, environment: ["MAX_SECONDS": "600"])
        try await run.awaitOutput("the first line of rates") { $0.contains(" | kpi-service ") }

        let second = try LocalRun(in: directory.path)
        #expect(await second.child.wait(hangLimit) == .exited(1))
        #expect(second.output.text.contains("already (process \(run.child.pid))"), "\(second.output)")

        let consumer = try #require(run.processes.first { $0.name == "consumer" })
        kill(consumer.pid, SIGKILL)
        #expect(await run.child.wait(hangLimit) == .exited(1))
        #expect(
            run.output.text.contains(
                "consumer ended by signal 9; the end of \(directory.path)/.local/log/consumer.log:\n"))
        #expect(run.output.text.contains("partitions assigned"), "the log's last lines are shown")
        #expect(run.processes.isEmpty)
    }

    @Test func `A stop at once ends in order what has begun to start`() async throws {
        let directory = try TemporaryDirectory(prefix: "pipeline-run")
        let run = try LocalRun(in: directory.path)
        try await eventually("PostgreSQL begins") {
            run.processes.contains { ["initdb", "postgres"].contains($0.name) }
        }
        run.child.kill(SIGTERM)
        #expect(await run.child.wait(hangLimit) == .exited(0), "\(run.output)")
        #expect(run.output.lines.last?.hasPrefix("Stopped.") == true)
        #expect(run.processes.isEmpty)
    }

    @Test func `A port that is taken is named`() async throws {
        let directory = try TemporaryDirectory(prefix: "pipeline-run")
        let other = try PostgresServer(durability: .disposable)
        try await other.start()
        let run = try LocalRun(in: directory.path, environment: ["POSTGRES_PORT": String(other.port)])
        #expect(await run.child.wait(hangLimit) == .exited(1))
        #expect(run.output.text.contains("port \(other.port) of 127.0.0.1 is taken"), "\(run.output)")
        await other.stop()
    }

    /// Counts the rows that a run has left, in a server started for that.
    private func storedTrades(in directory: String) async throws -> Int64 {
        let server = try PostgresServer(directory: "\(directory)/.local/postgres", durability: .durable)
        try await server.start()
        let count = try await ChildProcess.run(
            "psql",
            [
                "-XAtq", "-d", server.connectionString(database: "tickstream"), "-c",
                "SELECT count(*) FROM trade_data_finhub",
            ])
        await server.stop()
        return try #require(Int64(count))
    }
}

/// A run of the real program in a directory, on the embedded broker, with its output in lines.
private final class LocalRun: Sendable {
    let child: ChildProcess
    let output = Output()
    private let directory: String

    init(in directory: String, environment: [String: String] = [:]) throws {
        self.directory = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path
        let inherited = ["PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME"].compactMap { name in
            ProcessInfo.processInfo.environment[name].map { (name, $0) }
        }
        child = try ChildProcess(
            BuiltPrograms().path(of: "local-pipeline"),
            environment: environment.merging(inherited) { given, _ in given }, workingDirectory: directory,
            output: .lines(output.append))
    }

    /// All processes that work in the directory or below, zombies not counted.
    var processes: [(pid: Int32, name: String)] {
        let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
        return pids.compactMap { pid in
            guard let folder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd"),
                folder == directory || folder.hasPrefix("\(directory)/"),
                let name = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
            else { return nil }
            return (pid, name.trimmingCharacters(in: .newlines))
        }
    }

    /// Waits until the output has such a line; a failure shows it.
    func awaitOutput(_ what: String, _ isWanted: (String) -> Bool) async throws {
        do {
            try await eventually(what) { output.lines.contains(where: isWanted) }
        } catch { throw TestFailure("\(error)\n\(output)") }
    }

    final class Output: Sendable, CustomStringConvertible {
        private let all = Mutex<[String]>([])
        var lines: [String] { all.withLock { $0 } }
        var text: String { lines.joined(separator: "\n") }
        var description: String { text }

        @Sendable func append(_ line: String) { all.withLock { $0.append(line) } }
    }
}
