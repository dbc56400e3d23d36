import Foundation
import LocalServers
import Postgres
import Synchronization
import TestSupport

/// The server that all suites of the process share; started on first use.
func testServer() throws -> TestServer { try shared.get() }

private let shared = Result { try TestServer() }

/// A private PostgreSQL cluster on loopback, which ends with the process.
final class TestServer: Sendable {
    let port: Int
    private let directory: String
    private let binaries: String

    init() throws {
        let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")
        binaries = "/usr/lib/postgresql/\(versions.max { $0.compare($1, options: .numeric) == .orderedAscending }!)/bin"
        directory = NSTemporaryDirectory() + "/postgres-tests-\(UUID().uuidString)"
        port = try FreePort.find()
        try Self.run(["mkdir", "-m", "700", directory])
        stopAtExit(self)
        try Self.run([binaries + "/initdb", "-D", directory + "/data", "-A", "trust", "-U", "postgres", "-N"])
        let access = "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        try Self.run(["sh", "-c", "printf '\(access)' > \(directory)/data/pg_hba.conf"])
        try start()
    }

    /// A connection string for the superuser.
    var conninfo: String { "host=127.0.0.1 port=\(port) user=postgres dbname=postgres" }

    /// Starts the server and waits until it accepts connections, or refuses them where it is to.
    func start(refusing: Bool = false) throws {
        let options =
            "-c listen_addresses=127.0.0.1 -c port=\(port) -c fsync=off -c max_connections=60 "
            + "-c unix_socket_directories=\(directory)"
        try Self.run([
            binaries + "/pg_ctl", "-D", directory + "/data", "-l", directory + "/log", "-W", "-o", options, "start",
        ])
        try eventually("the server has started") {
            (try? Self.run(
                [binaries + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", "\(port)"], allowing: [refusing ? 1 : 0]))
                != nil
        }
    }

    func stop() throws {
        try Self.run([binaries + "/pg_ctl", "-D", directory + "/data", "-m", "fast", "-w", "stop"])
    }

    /// From its next start on, the server follows a primary that is not there and refuses connections.
    func refuseConnections() throws {
        try Self.run(["touch", directory + "/data/standby.signal"])
        try Self.run(["sh", "-c", "echo hot_standby=off >> \(directory)/data/postgresql.conf"])
    }

    func remove() {
        try? Self.run([binaries + "/pg_ctl", "-D", directory + "/data", "-m", "immediate", "-w", "stop"])
        try? Self.run(["rm", "-rf", directory])
    }

    /// Runs a command, as the user postgres where this is root, whom the server refuses.
    private static func run(_ command: [String], allowing codes: Set<Int32> = [0]) throws {
        // Not Foundation's Process, which waits for the server that pg_ctl leaves running, too.
        let words = ["env", "-C", "/"] + (geteuid() == 0 ? ["runuser", "-u", "postgres", "--"] : []) + command
        var arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        var process: pid_t = 0
        guard posix_spawnp(&process, words[0], &actions, nil, &arguments, environ) == 0 else {
            throw TestFailure("\(words[0]) cannot be started")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        guard status & 0x7F == 0, codes.contains(status >> 8) else {
            throw TestFailure("\(command[0]) ended with status \(status)")
        }
    }
}

private let started = Mutex<[TestServer]>([])

private func stopAtExit(_ server: TestServer) {
    let isFirst = started.withLock { servers in
        servers.append(server)
        return servers.count == 1
    }
    if isFirst { atexit { started.withLock { $0 }.forEach { $0.remove() } } }
}
