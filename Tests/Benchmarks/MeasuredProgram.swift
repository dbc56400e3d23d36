import Foundation
import Glibc
import LocalServers

/// One of the project's programs as a child process, the one beside this program's file.
@MainActor
final class MeasuredProgram {
    private let name: String
    private let child: ChildProcess
    private let log: TemporaryDirectory

    /// Processor time and memory.
    struct Usage {
        /// User and system time since the start.
        let cpuSeconds: Double
        let peakMegabytes: Double

        /// What this process has used up to now.
        static var ofThisProcess: Usage {
            var usage = rusage()
            getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
            let seconds = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            let microseconds = Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
            return Usage(
                cpuSeconds: seconds + microseconds / 1e6, peakMegabytes: Double(usage.ru_maxrss) / 1024)
        }
    }

    /// Starts the program.
    /// - Parameter database: handed over in the environment.
    init(_ name: String, _ arguments: [String], database: String? = nil) throws {
        self.name = name
        log = try TemporaryDirectory(prefix: "tickstream-bench")
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        var environment = readEnvironment()
        environment["DATABASE_URL"] = database
        environment["SPOOL_DIRECTORY"] = log.path
        child = try ChildProcess(
            folder.appendingPathComponent(name).path, arguments, environment: environment,
            output: .file("\(log.path)/log"))
    }

    /// Fails when the program has ended by itself.
    func checkRunning() throws {
        if let status = child.exitStatus { throw failure("\(status) in the middle of its work") }
    }

    /// What it has used up to now.
    func usage() throws -> Usage {
        // The second field is the program's name in brackets; the first behind it is the third.
        let fields = try read("stat").split(separator: ")").last?.split(separator: " ") ?? []
        let peak = try read("status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]),
            let kilobytes = peak?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({
                Double($0)
            })
        else { throw failure("left no account of its use in /proc") }
        return Usage(
            cpuSeconds: (user + system) / Double(sysconf(Int32(_SC_CLK_TCK))), peakMegabytes: kilobytes / 1024)
    }

    /// Stops it as an operator would.
    func stop() async throws {
        guard await child.terminate(grace: .seconds(60)).isSuccess else {
            throw failure("ended by \(child.exitStatus.map { "\($0)" } ?? "nothing") when it was stopped")
        }
    }

    private func read(_ file: String) throws -> String {
        try String(contentsOfFile: "/proc/\(child.pid)/\(file)", encoding: .utf8)
    }

    private func failure(_ text: String) -> BenchError {
        let lines = (try? String(contentsOfFile: "\(log.path)/log", encoding: .utf8)) ?? ""
        return BenchError(
            "\(name) \(text); its last lines:\n\(lines.split(separator: "\n").suffix(10).joined(separator: "\n"))")
    }
}
