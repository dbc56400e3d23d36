import DatabaseTestSupport
import Foundation
import LocalServers
import Migrations
import Postgres
import TestSupport
import Testing

/// Migrations that make roles, which all databases of a server share: in a server of the test's own.
@Suite(.timeLimit(.minutes(10))) struct MigrationTests {
    private static func migrate(_ database: TestDatabase, as url: String? = nil) async throws -> [Int] {
        try await onThread {
            var connection =
                try url.map {
                    try PostgresConnection(PostgresConfiguration($0, applicationName: "migration"))
                } ?? database.connect()
            return try Migrator.tickstream.migrate(&connection)
        }
    }

    @Test func `several databases of a server are migrated at once, each whole`() async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        var databases: [TestDatabase] = []
        for _ in 0..<6 { databases.append(try await TestDatabase(in: server, migrated: false)) }
        let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
            for database in databases { group.addTask { try await Self.migrate(database) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(applied).count == 1 && applied[0].count > 8, "\(applied)")
        #expect(try databases[0].value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tickstream\\_%'") == "3")
        await server.stop()
    }

    @Test func `an owner without the right to create roles is told what to do, and goes on once they are there`()
        async throws
    {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        let database = try await TestDatabase(in: server, migrated: false)
        let owner = try database.makeUser(password: "secret", "")
        let name = try #require(URLComponents(string: owner)?.user)
        try database.execute("ALTER SCHEMA public OWNER TO \(name)")
        let error = await #expect(throws: PostgresError.self) { _ = try await Self.migrate(database, as: owner) }
        #expect(error?.message.contains("have an administrator create them (NOLOGIN)") == true, "\(error as Any)")
        for role in ["ingest", "kpi", "read"] { try database.execute("CREATE ROLE tickstream_\(role) NOLOGIN") }
        #expect(try await Self.migrate(database, as: owner).first == 11)
        #expect(try await Self.migrate(database) == [])
        await server.stop()
    }
}
