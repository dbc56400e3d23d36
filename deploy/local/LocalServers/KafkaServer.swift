import Foundation
import Glibc
import Synchronization

/// A one-node Kafka (KRaft: broker and controller in one process) on 127.0.0.1, from an unpacked distribution.
///
/// Everything it writes lies in its directory. Topics are the caller's business: they are not created on first use.
package final class KafkaServer: Sendable {
    /// The distribution it runs from.
    package let home: KafkaHome
    /// Where its data, settings and logs are.
    package let directory: String
    /// The port for clients.
    package let port: Int
    /// What clients take as `bootstrap.servers`.
    package var bootstrapServers: String { "127.0.0.1:\(port)" }
    /// What it wrote to its standard streams, of all runs.
    package var logFile: String { "\(directory)/kafka.log" }
    /// The last lines of the log, for an error message.
    package var lastLines: String { ServerLog.tail(of: logFile) }

    private let controllerPort: Int
    private let settings: [String: String]
    private let temporary: TemporaryDirectory?
    private let process = Mutex<ChildProcess?>(nil)

    /// Chooses ports and place; starts nothing yet.
    ///
    /// - Parameters:
    ///   - directory: Kept, and used again with its data. nil means a temporary one.
    ///   - port: nil means a free one. The controller's is always a free one.
    ///   - settings: More of the broker's settings, or others than its defaults, say `["num.partitions": "5"]`.
    package init(
        home: KafkaHome, directory: String? = nil, port: Int? = nil, settings: [String: String] = [:]
    ) throws(LocalServerError) {
        self.home = home
        temporary = directory == nil ? try TemporaryDirectory(prefix: "tickstream-kafka") : nil
        let path = directory ?? temporary?.path ?? ""
        self.directory = URL(fileURLWithPath: path).standardizedFileURL.path
        self.port = if let port { port } else { try FreePort.find() }
        controllerPort = try FreePort.find()
        self.settings = settings
    }

    /// The broker's process id; nil when it does not run.
    package var pid: Int32? { process.withLock { $0?.isRunning == true ? $0?.pid : nil } }

    /// Formats the directory unless it is formatted, starts the broker and returns when it answers.
    package func start(limit: Duration = .seconds(120)) async throws(LocalServerError) {
        guard pid == nil else { return }
        let environment = try environment()
        let deadline = ContinuousClock.now + limit
        do {
            try FileManager.default.createDirectory(atPath: "\(directory)/logs", withIntermediateDirectories: true)
            try properties.write(toFile: propertiesFile, atomically: true, encoding: .utf8)
        } catch {
            throw LocalServerError(.invalid, "cannot write to \(directory): \(error)")
        }
        if !FileManager.default.fileExists(atPath: "\(data)/meta.properties") {
            try await ChildProcess.run(
                home.program("kafka-storage.sh"), ["format", "-t", Self.newClusterID(), "-c", propertiesFile],
                environment: environment, workingDirectory: directory, limit: limit)
        }
        let log = ServerLog(path: logFile)
        let child = try ChildProcess(
            home.program("kafka-server-start.sh"), [propertiesFile], environment: environment,
            workingDirectory: directory, output: .file(logFile))
        process.withLock { $0 = child }
        try await child.becomesReady("Kafka", log: log, limit: deadline - .now) {
            log.text.contains("Kafka Server started") && FreePort.accepts(port)
        }
    }

    /// Stops it in order (SIGTERM); by SIGKILL after `grace`.
    package func stop(grace: Duration = .seconds(20)) async {
        await process.withLock { $0 }?.terminate(grace: grace)
    }

    /// Ends the broker by SIGKILL, as a crash would; `start` recovers it.
    package func kill() async {
        await process.withLock { $0 }?.terminate(SIGKILL)
    }

    private var data: String { "\(directory)/data" }
    private var propertiesFile: String { "\(directory)/server.properties" }

    private var properties: String {
        let all = settings.merging([
            "process.roles": "broker,controller",
            "node.id": "1",
            // The older form of the quorum's settings: every KRaft release knows it, and the port may change from run
            // to run.
            "controller.quorum.voters": "1@127.0.0.1:\(controllerPort)",
            "listeners": "PLAINTEXT://127.0.0.1:\(port),CONTROLLER://127.0.0.1:\(controllerPort)",
            "advertised.listeners": "PLAINTEXT://127.0.0.1:\(port)",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": data,
            "auto.create.topics.enable": "false",
            // One node holds every replica there is.
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            // Few partitions of Kafka's own and no waiting for more members: the first join is quick.
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            // A killed broker is back in 3 s instead of 12, and members may have short sessions.
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "250",
            "group.min.session.timeout.ms": "500",
        ]) { given, _ in given }
        return all.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value.replacingOccurrences(of: "\\", with: "\\\\"))\n" }.joined()
    }

    /// The caller's environment, with logs that stay in the directory and a heap for one machine.
    private func environment() throws(LocalServerError) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment
        let java = environment["JAVA_HOME"].map { "\($0)/bin/java" } ?? "java"
        guard Executable.find(java) != nil else {
            throw LocalServerError(
                .missing,
                "Kafka needs Java, and there is no program \(java): install the Debian package default-jre-headless")
        }
        environment["LOG_DIR"] = "\(directory)/logs"
        environment["KAFKA_HEAP_OPTS"] = "-Xms512m -Xmx512m"
        // Without the distribution's default, -loggc.
        environment["EXTRA_ARGS"] = "-name kafkaServer"
        return environment
    }

    /// 16 random bytes in the URL's base64, which never begin with a dash.
    private static func newClusterID() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[0] &= 0x7f
        return Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }
}
