import Foundation
import Synchronization

/// A private PgBouncer before a private PostgreSQL server, on 127.0.0.1: the pooler of Debian's package `pgbouncer`, with
/// its own defaults but for the mode, transaction, and the size of the pool.
///
/// It refuses to run as root, so it runs as the server's user. It asks for the server's password, which is in the same
/// `passwordFile`.
package final class PgBouncer: Sendable {
    /// The TCP port.
    package let port: Int
    /// The last lines of the log, of all runs.
    package var lastLines: String { ServerLog.tail(of: logFile) }

    private let server: PostgresServer
    private let poolSize: Int
    private let process = Mutex<ChildProcess?>(nil)

    /// Whether there is a PgBouncer on this machine, installed or brought by setup.sh.
    package static var isThere: Bool { program != nil }

    /// Chooses the port; starts nothing yet.
    ///
    /// - Parameter poolSize: So many sessions of the server each user has in each database.
    package init(for server: PostgresServer, poolSize: Int) throws(LocalServerError) {
        self.server = server
        self.poolSize = poolSize
        port = try FreePort.find()
    }

    /// For libpq: like the server's own string, but through the pooler.
    package func connectionString(database: String = "postgres") -> String {
        server.connectionString(database: database, port: port)
    }

    /// Starts it before a server that has been started once, and returns when it accepts connections.
    package func start(limit: Duration = .seconds(60)) async throws(LocalServerError) {
        guard let program = try prepareProgram() else {
            throw LocalServerError(.missing, "PgBouncer is missing: run deploy/local/setup.sh pgbouncer")
        }
        let (settings, users) = ("\(server.directory)/pgbouncer.ini", "\(server.directory)/pgbouncer.users")
        try server.write("\"\(PostgresServer.user)\" \"\(try server.password())\"", to: users)
        try server.write(
            """
            [databases]
            * = host=127.0.0.1 port=\(server.port)
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = \(users)
            pool_mode = transaction
            default_pool_size = \(poolSize)
            """, to: settings)
        let log = ServerLog(path: logFile)
        let libraries = ["LD_LIBRARY_PATH": URL(fileURLWithPath: program).deletingLastPathComponent().path]
        let child = try ChildProcess(
            program, [settings], environment: PostgresServer.environment.merging(libraries) { given, _ in given },
            output: .file(logFile), user: server.systemUser?.name)
        process.withLock { $0 = child }
        try await child.becomesReady("PgBouncer", log: log, limit: limit) {
            log.text.contains("process up") && FreePort.accepts(port)
        }
    }

    /// Ends it at once, as SIGTERM does: its clients lose their connections, and so does the server.
    package func stop() async {
        await process.withLock { $0 }?.terminate()
    }

    private var logFile: String { "\(server.directory)/pgbouncer.log" }

    /// The one that setup.sh brought stands where the server's user need not get to, so that user gets a copy.
    private func prepareProgram() throws(LocalServerError) -> String? {
        guard let program = Self.program, program.hasPrefix(Self.brought) else { return Self.program }
        let copy = "\(server.directory)/pgbouncer"
        do {
            if !FileManager.default.fileExists(atPath: copy) {
                try FileManager.default.copyItem(atPath: Self.brought, toPath: copy)
            }
        } catch {
            throw LocalServerError(.invalid, "cannot copy \(Self.brought) to \(copy): \(error)")
        }
        return "\(copy)/pgbouncer"
    }

    private static let brought = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../.build/tools/pgbouncer").standardizedFileURL.path
    private static let program = Executable.find("/usr/sbin/pgbouncer") ?? Executable.find("\(brought)/pgbouncer")
}
