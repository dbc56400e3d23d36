import Foundation
import LocalServers
import Migrations
import Postgres

/// The server that all tests of the process share; it ends with the process.
private let shared = Task {
    let server = try PostgresServer(durability: .disposable, settings: ["max_connections": "200"])
    try await server.start()
    return server
}

/// A new database with the project's schema.
struct TestDatabase: Sendable {
    let configuration: PostgresConfiguration
    /// The same database, for readers: whose sessions are told by their name.
    let readers: PostgresConfiguration

    /// Makes a database in the shared server, or in one of the test's own.
    init(in server: PostgresServer? = nil) async throws {
        let server = if let server { server } else { try await shared.value }
        let name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        try await server.createDatabase(name)
        configuration = try PostgresConfiguration(server.connectionString(database: name), applicationName: "tests")
        readers = try PostgresConfiguration(server.connectionString(database: name), applicationName: "reader")
        try await onThread { [configuration] in
            var connection = try PostgresConnection(configuration)
            _ = try Migrator.tickstream.migrate(&connection)
        }
    }

    /// Runs a blocking test with a new database on a thread of its own.
    static func run<R: Sendable>(_ body: @escaping @Sendable (TestDatabase) throws -> R) async throws -> R {
        let database = try await TestDatabase()
        return try await onThread { try body(database) }
    }

    func connect() throws -> PostgresConnection { try PostgresConnection(configuration) }

    func execute(_ sql: String) throws {
        var connection = try connect()
        try connection.execute(sql)
    }

    /// The rows as texts, NULL as an empty one.
    func rows(_ sql: String) throws -> [[String]] {
        var connection = try connect()
        let result = try connection.query(sql)
        return (0..<result.rowCount).map { row in
            (0..<result.columnCount).map { result.string(row, $0) ?? "" }
        }
    }

    /// The first value of the first row.
    func value(_ sql: String) throws -> String { try rows(sql).first?.first ?? "" }

    /// Waits until as many sessions of this database wait for a lock.
    func awaitLockWaiters(_ count: Int) throws {
        try eventually("\(count) sessions wait for a lock") {
            try value(
                """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                """) == "\(count)"
        }
    }
}
