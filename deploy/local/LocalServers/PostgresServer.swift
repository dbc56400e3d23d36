import Foundation
import Glibc
import Synchronization

/// A private PostgreSQL cluster in a directory, on 127.0.0.1.
///
/// PostgreSQL refuses to run as root: there it runs as the user `postgres`, elsewhere as oneself. A connection over TCP
/// needs a generated password (SCRAM), since any user of the machine can reach the port, and PostgreSQL's superuser
/// runs commands. It is kept in `passwordFile`, which the connection string names without holding the secret. The
/// unix socket asks for none: it lies in a directory that only the server's user enters.
package final class PostgresServer: Sendable {
    /// What must survive.
    package enum Durability: Sendable {
        /// A crash of the machine: PostgreSQL's own defaults.
        case durable
        /// A crash of PostgreSQL only: `fsync` is off, for tests. Commits still reach the operating system at once.
        case disposable
    }

    /// The superuser's name.
    package static let user = "postgres"

    /// Where the cluster, its log and its password file are. Another one than asked for when the server's user cannot
    /// reach that: see `init`.
    package let directory: String
    /// The TCP port.
    package let port: Int
    /// A passfile in libpq's format (mode 0600).
    package var passwordFile: String { "\(directory)/passfile" }
    /// The server's log, of all runs.
    package var logFile: String { "\(directory)/postgres.log" }
    /// The last lines of the log, for an error message.
    package var lastLines: String { ServerLog.tail(of: logFile) }
    /// The directory of the unix socket.
    package let socketDirectory: String

    /// The directory asked for; a link to `directory` when that is another one.
    let requestedDirectory: String
    let installation: PostgresInstallation
    let systemUser: SystemUser?
    private let settings: [String: String]
    private let temporaries: [TemporaryDirectory]
    private let process = Mutex<ChildProcess?>(nil)

    var data: String { "\(directory)/data" }

    /// Prepares a cluster's directory; starts nothing yet.
    ///
    /// - Parameters:
    ///   - directory: Kept, and used again with its data. nil means a temporary one. When the user `postgres` cannot
    ///     reach it (a checkout under /root), a directory of `/var/tmp` that belongs to this path takes its place, and
    ///     the path becomes a link to it.
    ///   - port: nil means a free one.
    ///   - settings: More of PostgreSQL's settings, say `["max_connections": "20"]`.
    package init(
        directory: String? = nil, port: Int? = nil, durability: Durability, settings: [String: String] = [:]
    ) throws(LocalServerError) {
        installation = try PostgresInstallation()
        systemUser = SystemUser.isRoot ? try SystemUser(named: "postgres") : nil
        var temporaries: [TemporaryDirectory] = []
        if let directory {
            requestedDirectory = URL(fileURLWithPath: directory).standardizedFileURL.path
        } else {
            let temporary = try TemporaryDirectory(prefix: "tickstream-postgres")
            temporaries.append(temporary)
            requestedDirectory = "\(temporary.path)/cluster"
        }
        self.directory = Self.reachable(requestedDirectory, by: systemUser)
        self.port = if let port { port } else { try FreePort.find() }
        let socketName = "/socket/.s.PGSQL.\(self.port).lock"
        if self.directory.utf8.count + socketName.utf8.count <= 107 {
            socketDirectory = "\(self.directory)/socket"
        } else {
            // A socket's address holds 107 bytes.
            let short = try TemporaryDirectory(prefix: "pg", in: "/tmp")
            temporaries.append(short)
            socketDirectory = "\(short.path)/socket"
        }
        self.temporaries = temporaries
        self.settings = settings.merging(durability == .disposable ? ["fsync": "off"] : [:]) { given, _ in given }
    }

    /// The server's process id; nil when it does not run.
    package var pid: Int32? { process.withLock { $0?.isRunning == true ? $0?.pid : nil } }

    /// For libpq, over TCP; the password comes from `passwordFile`, so the string holds no secret.
    package func connectionString(database: String = "postgres") -> String {
        connectionString(database: database, port: port)
    }

    func connectionString(database: String, port: Int) -> String {
        "postgresql://\(Self.user)@127.0.0.1:\(port)/\(encoded(database))?passfile=\(encoded(passwordFile))"
    }

    func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text
    }

    /// Makes the cluster unless it is there, starts the server and returns when it accepts connections.
    ///
    /// What a killed server left is no obstacle.
    /// - Throws: `.inUse` when a living server uses the directory, `.failed` with the end of its log when it ends.
    package func start(limit: Duration = .seconds(120)) async throws(LocalServerError) {
        guard pid == nil else { return }
        try prepareDirectories()
        try await initialize()
        let deadline = ContinuousClock.now + limit
        while true {
            let log = ServerLog(path: logFile)
            do {
                try await launch(log, limit: deadline - .now)
                return
            } catch {
                let text = log.text
                if text.contains("lock file \"postmaster.pid\" already exists") { throw inUse() }
                // Sessions of a killed server need a moment to notice, and the new one must not start before they have.
                guard text.contains("pre-existing shared memory block"), ContinuousClock.now < deadline,
                    !Task.isCancelled
                else { throw error }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Stops it in the fast mode: sessions end, committed data are kept.
    package func stop(grace: Duration = .seconds(20)) async {
        await process.withLock { $0 }?.terminate(SIGINT, grace: grace)
    }

    /// Stops it in the immediate mode: sessions are cut off wherever they are, and `start` recovers what they committed.
    package func stopAtOnce() async {
        await process.withLock { $0 }?.terminate(SIGQUIT)
    }

    /// Ends the server by SIGKILL, as a crash would; `start` recovers it.
    package func kill() async {
        await process.withLock { $0 }?.terminate(SIGKILL)
    }

    /// Creates an empty database in a running server.
    package func createDatabase(_ name: String) async throws(LocalServerError) {
        try await ChildProcess.run(
            installation.program("createdb"), ["-h", socketDirectory, "-p", String(port), "-U", Self.user, "--", name],
            environment: Self.environment)
    }

    private func launch(_ log: ServerLog, limit: Duration) async throws(LocalServerError) {
        let all = settings.merging([
            "port": String(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": socketDirectory,
            "logging_collector": "off", "timezone": "UTC", "log_timezone": "UTC",
        ]) { given, _ in given }
        let arguments = all.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        let child = try ChildProcess(
            installation.program("postgres"), ["-D", data] + arguments, environment: Self.environment,
            output: .file(logFile), user: systemUser?.name, deathSignal: .quit)
        process.withLock { $0 = child }
        try await child.becomesReady("PostgreSQL", log: log, limit: limit) {
            // What pg_ctl waits for: the process id in the first line of the lock file and its state in the eighth.
            let lines = lockFile()
            return lines.count >= 8 && lines[0] == String(child.pid) && lines[7].hasPrefix("ready")
        }
    }

    private func lockFile() -> [Substring] {
        ((try? String(contentsOfFile: "\(data)/postmaster.pid", encoding: .utf8)) ?? "")
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    private func inUse() -> LocalServerError {
        let pid = lockFile().first.map(String.init) ?? "?"
        let name = (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) ?? "unknown\n"
        return LocalServerError(
            .inUse,
            "\(data) is in use by process \(pid) (\(name.dropLast())): stop it first;"
                + " if that process is no PostgreSQL server, remove \(data)/postmaster.pid")
    }
}
