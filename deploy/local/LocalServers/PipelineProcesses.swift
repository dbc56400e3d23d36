import Foundation
import Synchronization

/// The pipeline's programs on this machine: starts each as a child with its log in `<directory>/<name>.log`, and stops
/// them all in the reverse order of their start.
///
/// Every start takes more of the program's options (`arguments`) and environment variables; secrets belong into the
/// latter. None of the programs inherits a secret or `KAFKA_BOOTSTRAP_SERVERS` from this process, and each serves its
/// metrics on a free port. Children that still run when the last reference goes are killed.
package final class PipelineProcesses: Sendable {
    /// Where the logs are.
    package let directory: String

    private let programs: BuiltPrograms
    private let environment: [String: String]
    private let onDeath: @Sendable (PipelineProcess.Death) -> Void
    private let started = Mutex<[PipelineProcess]>([])

    /// Makes the directory; starts nothing yet.
    ///
    /// - Parameters:
    ///   - directory: For the logs and the files in which programs tell their addresses.
    ///   - environment: What all programs see, without the variables named above.
    ///   - onDeath: Hears of each process that ends although nobody stopped or killed it; on the cooperative pool.
    package init(
        directory: String, programs: BuiltPrograms = BuiltPrograms(),
        environment: [String: String] = ProcessInfo.processInfo.environment,
        onDeath: @escaping @Sendable (PipelineProcess.Death) -> Void = { _ in }
    ) throws(LocalServerError) {
        self.directory = URL(fileURLWithPath: directory).standardizedFileURL.path
        self.programs = programs
        let withheld = ["FINNHUB_TOKEN", "FEED_TOKEN", "DATABASE_URL"].flatMap { [$0, "\($0)_FILE"] }
        var environment = environment.filter { $0.key != "KAFKA_BOOTSTRAP_SERVERS" && !withheld.contains($0.key) }
        // One port for all of them would be taken by the first.
        environment["MONITORING_LISTEN"] = "127.0.0.1:0"
        self.environment = environment
        self.onDeath = onDeath
        do {
            try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
        } catch {
            throw LocalServerError(.invalid, "cannot make the directory \(self.directory): \(error)")
        }
    }

    deinit {
        for process in running { process.child.kill(SIGKILL) }
    }

    /// Those that run now, in the order of their start.
    package var running: [PipelineProcess] { started.withLock { $0.filter(\.child.isRunning) } }

    /// Starts the feed simulator on a free port; returns its address, `ws://host:port`, once it accepts connections.
    package func startSimulator(
        _ arguments: [String] = [], environment: [String: String] = [:], limit: Duration = .seconds(120)
    ) async throws(LocalServerError) -> String {
        try await startWithAddress(
            "feed-simulator", ["--listen", "127.0.0.1:0"] + arguments, environment: environment, limit: limit)
    }

    /// Starts the embedded broker with the topics `trades`, `feed-events` and `alerts`; returns its bootstrap servers once it can be used.
    package func startDevBroker(
        partitions: Int = 5, arguments: [String] = [], limit: Duration = .seconds(120)
    ) async throws(LocalServerError) -> String {
        try await startWithAddress("dev-broker", ["--partitions", String(partitions)] + arguments, limit: limit)
    }

    /// Runs `consumer migrate` to its end.
    package func migrate(databaseURL: String, limit: Duration = .seconds(60)) async throws(LocalServerError) {
        let process = try launch(
            "migrate", program: "consumer",
            // The program asks for Kafka's address in every command; this one makes no use of it.
            ["migrate", "--kafka-bootstrap-servers", "127.0.0.1:9092"], environment: ["DATABASE_URL": databaseURL],
            onDeath: { _ in })
        try await process.succeed(limit: limit)
    }

    /// Starts a producer from the feed at `feed`; returns at once. Its spool is in the directory, under its name, so that one
    /// that is started again goes on; `SPOOL_DIRECTORY` says otherwise.
    @discardableResult
    package func startProducer(
        feed: String, bootstrap: String, symbols: [String], index: Int? = nil, arguments: [String] = [],
        environment: [String: String] = [:]
    ) throws(LocalServerError) -> PipelineProcess {
        let name = name("producer", index)
        return try launch(
            name, program: "producer",
            [
                "--feed-url", feed, "--kafka-bootstrap-servers", bootstrap, "--symbols",
                symbols.joined(separator: ","),
            ] + arguments,
            environment: environment.merging(["SPOOL_DIRECTORY": "\(directory)/\(name)-spool"]) { given, _ in given },
            // It waits for up to 30 s for a broker that answers slowly.
            grace: .seconds(40))
    }

    /// Starts a consumer; returns at once. Several share the partitions.
    @discardableResult
    package func startConsumer(
        bootstrap: String, databaseURL: String, index: Int? = nil, arguments: [String] = [],
        environment: [String: String] = [:]
    ) throws(LocalServerError) -> PipelineProcess {
        try startReader("consumer", index, bootstrap, databaseURL, arguments, environment)
    }

    /// Starts a KPI service; returns at once. Several share the partitions.
    @discardableResult
    package func startKPIService(
        bootstrap: String, databaseURL: String, index: Int? = nil, arguments: [String] = [],
        environment: [String: String] = [:]
    ) throws(LocalServerError) -> PipelineProcess {
        try startReader("kpi-service", index, bootstrap, databaseURL, arguments, environment)
    }

    /// Stops all that run, the last started first, each within its grace; returns how each ended, in that order.
    @discardableResult
    package func stopAll() async -> [(name: String, status: ExitStatus)] {
        var ends: [(name: String, status: ExitStatus)] = []
        for process in running.reversed() { ends.append((process.name, await process.stop())) }
        return ends
    }

    private func name(_ program: String, _ index: Int?) -> String { index.map { "\(program)-\($0)" } ?? program }

    private func startReader(
        _ program: String, _ index: Int?, _ bootstrap: String, _ databaseURL: String, _ arguments: [String],
        _ environment: [String: String]
    ) throws(LocalServerError) -> PipelineProcess {
        try launch(
            name(program, index), program: program, ["--kafka-bootstrap-servers", bootstrap] + arguments,
            environment: environment.merging(["DATABASE_URL": databaseURL]) { given, _ in given })
    }

    private func startWithAddress(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], limit: Duration
    ) async throws(LocalServerError) -> String {
        let file = "\(directory)/\(program).address"
        try? FileManager.default.removeItem(atPath: file)
        let process = try launch(
            program, program: program, ["--address-file", file] + arguments, environment: environment)
        return try await process.address(in: file, limit: limit)
    }

    private func launch(
        _ name: String, program: String, _ arguments: [String], environment: [String: String],
        grace: Duration = .seconds(40), onDeath: (@Sendable (PipelineProcess.Death) -> Void)? = nil
    ) throws(LocalServerError) -> PipelineProcess {
        let process = try PipelineProcess(
            name, program: programs.path(of: program), arguments: arguments,
            environment: self.environment.merging(environment) { _, own in own },
            logFile: "\(directory)/\(name).log", grace: grace, onDeath: onDeath ?? self.onDeath)
        started.withLock { $0.append(process) }
        return process
    }
}
