import Foundation
import LocalServers
import Postgres
import Synchronization
import TestSupport

/// The server that all suites of the process share; started on first use.
func testServer() throws -> TestServer { try shared.get() }

private let shared = Result { try TestServer() }

/// A private PostgreSQL cluster on loopback that asks for no password; it ends with the process.
final class TestServer: Sendable {
    let port: Int
    private let directory: TemporaryDirectory
    private let binaries: String
    private let process = Mutex<ChildProcess?>(nil)
    /// As whom it runs where this is root, whom PostgreSQL refuses.
    private static let user = geteuid() == 0 ? "postgres" : nil

    init() throws {
        let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")
        binaries = "/usr/lib/postgresql/\(versions.max { $0.compare($1, options: .numeric) == .orderedAscending }!)/bin"
        directory = try TemporaryDirectory(prefix: "postgres-tests")
        port = try FreePort.find()
        if let user = Self.user {
            try FileManager.default.setAttributes([.ownerAccountName: user], ofItemAtPath: directory.path)
        }
        try Self.run([binaries + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N"])
        try "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
            .write(toFile: data + "/pg_hba.conf", atomically: false, encoding: .utf8)
        try start()
    }

    /// A connection string for the superuser.
    var conninfo: String {
        "host=127.0.0.1 port=\(port) user=postgres dbname=postgres connect_timeout=\(hangLimit.components.seconds)"
    }

    private var data: String { directory.path + "/data" }

    /// Starts the server and waits until it accepts connections, or refuses them where it is to.
    func start(refusing: Bool = false) throws {
        let settings = [
            "listen_addresses=127.0.0.1", "port=\(port)", "fsync=off", "max_connections=60",
            "unix_socket_directories=\(directory.path)",
        ]
        // A child as others are: the server lives on for long, and may hold open nothing of what other tests have open.
        let server = try ChildProcess(
            binaries + "/postgres", ["-D", data] + settings.flatMap { ["-c", $0] }, workingDirectory: "/",
            output: .file(directory.path + "/log"), user: Self.user, deathSignal: .quit)
        process.withLock { $0 = server }
        try eventually("the server has started") {
            guard server.isRunning else { throw TestFailure("the server \(server.exitStatus.map { "\($0)" } ?? "")") }
            let answer = ["-q", "-h", "127.0.0.1", "-p", "\(port)"]
            return (try? Self.run([binaries + "/pg_isready"] + answer, allowing: refusing ? 1 : 0)) != nil
        }
    }

    /// Stops the server in the fast mode.
    func stop() throws {
        guard let server = process.withLock({ $0 }) else { return }
        server.kill(SIGINT)
        try eventually("the server has stopped") { server.exitStatus != nil }
    }

    /// From its next start on, the server follows a primary that is not there and refuses connections.
    func refuseConnections() throws {
        try "".write(toFile: data + "/standby.signal", atomically: false, encoding: .utf8)
        try "hot_standby = off\n".write(toFile: data + "/postgresql.auto.conf", atomically: false, encoding: .utf8)
    }

    private static func run(_ command: [String], allowing code: Int32 = 0) throws {
        let child = try ChildProcess(
            command[0], Array(command.dropFirst()), workingDirectory: "/", output: .discard, user: user)
        try eventually("\(command[0]) has ended") { child.exitStatus != nil }
        guard child.exitStatus == .exited(code) else {
            throw TestFailure("\(command[0]) \(child.exitStatus.map { "\($0)" } ?? "")")
        }
    }
}
