import Foundation
import LocalServers
import Testing

@Suite(.serialized, .timeLimit(.minutes(10)))
struct PostgresServerTests {
    @Test func `a server starts, answers over TCP with its password, and keeps its data over a restart`() async throws {
        let folder = try TemporaryDirectory()
        let server = try PostgresServer(directory: "\(folder.path)/pg", durability: .disposable)
        try await server.start()
        try await server.createDatabase("tick stream")
        let settings = try await query(
            server, "SELECT current_setting('server_encoding'), current_setting('TimeZone'), current_setting('fsync')")
        #expect(settings == "UTF8|UTC|off")
        _ = try await query(
            server, "CREATE TABLE kept AS SELECT 42 AS answer", database: "tick stream")
        await server.stop()
        #expect(server.pid == nil)
        #expect(!FreePort.accepts(server.port))

        let again = try PostgresServer(directory: "\(folder.path)/pg", durability: .durable)
        try await again.start()
        #expect(try await query(again, "SELECT answer FROM kept", database: "tick stream") == "42")
        #expect(try await query(again, "SHOW fsync") == "on")
        await again.stop()
    }

    @Test func `a connection over TCP without the password is refused`() async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        await #expect {
            try await ChildProcess.run(
                "psql", ["-Xwd", "postgresql://postgres@127.0.0.1:\(server.port)/postgres", "-c", "SELECT 1"])
        } throws: { error in
            "\(error)".contains("no password supplied")
        }
        #expect(!server.connectionString().contains(try String(contentsOfFile: server.passwordFile, encoding: .utf8)))
        let attributes = try FileManager.default.attributesOfItem(atPath: server.passwordFile)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        await server.stop()
    }

    @Test func `a server killed with open sessions starts again and has all that was committed`() async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        _ = try await query(server, "CREATE TABLE kept (n int)")
        let session = try ChildProcess(
            "psql", ["-Xd", server.connectionString(), "-c", "SELECT pg_sleep(600)"], output: .discard)
        for n in 1...3 {
            _ = try await query(server, "INSERT INTO kept VALUES (\(n))")
            await server.kill()
            try await server.start()
            #expect(try await query(server, "SELECT count(*) FROM kept") == "\(n)")
        }
        await session.terminate()
        await server.stop()
    }

    @Test func `a directory in use by a living server is a clear error`() async throws {
        let folder = try TemporaryDirectory()
        let first = try PostgresServer(directory: "\(folder.path)/pg", durability: .disposable)
        try await first.start()
        let second = try PostgresServer(directory: "\(folder.path)/pg", durability: .disposable)
        let pid = try #require(first.pid)
        await #expect {
            try await second.start()
        } throws: { error in
            (error as? LocalServerError)?.code == .inUse && "\(error)".contains("process \(pid)")
        }
        #expect(try await query(first, "SELECT 1") == "1")
        await first.stop()
    }

    @Test func `a wrong setting is an error that shows the server's own words`() async throws {
        let server = try PostgresServer(durability: .disposable, settings: ["no_such_setting": "1"])
        await #expect {
            try await server.start()
        } throws: { error in
            "\(error)".contains("no_such_setting")
        }
        #expect(server.pid == nil)
    }

    @Test func `a path too long for a socket's address works`() async throws {
        let folder = try TemporaryDirectory()
        let long = "\(folder.path)/" + String(repeating: "x", count: 120)
        let server = try PostgresServer(directory: long, durability: .disposable)
        try await server.start()
        #expect(server.directory == long)
        #expect(!server.socketDirectory.hasPrefix(long))
        #expect(try await query(server, "SELECT 1") == "1")
        await server.stop()
    }

    @Test(.enabled(if: geteuid() == 0, "only root runs the server as another user"))
    func `when the server's user cannot reach the directory, one that always is the same takes its place`()
        async throws
    {
        let folder = try TemporaryDirectory()
        chmod(folder.path, 0o700)
        let path = "\(folder.path)/pg"
        let server = try PostgresServer(directory: path, durability: .disposable)
        defer { try? FileManager.default.removeItem(atPath: server.directory) }
        #expect(server.directory.hasPrefix("/var/tmp/tickstream-"))
        #expect(try PostgresServer(directory: "\(path)2", durability: .disposable).directory != server.directory)
        try await server.start()
        _ = try await query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        await server.stop()
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == server.directory)

        let again = try PostgresServer(directory: path, durability: .disposable)
        try await again.start()
        #expect(try await query(again, "SELECT answer FROM kept") == "42")
        await again.stop()
    }
}
