import Foundation
import LocalServers
import Migrations
import Postgres
import TestSupport

/// The server that all tests of the process share; it ends with the process.
private let shared = Task {
    // Autovacuum would go through hundreds of short-lived databases all the time, and take locks in some.
    let server = try PostgresServer(
        durability: .disposable, settings: ["max_connections": "200", "autovacuum": "off"])
    try await server.start()
    return server
}

/// A new database, with the project's schema unless told otherwise.
package struct TestDatabase: Sendable {
    /// The connection string, which holds no secret.
    package let url: String
    /// The database's name in its server.
    package let name: String
    private let configuration: PostgresConfiguration

    /// Makes a database in the shared server, or in one of the test's own.
    package init(in server: PostgresServer? = nil, migrated: Bool = true) async throws {
        let server = if let server { server } else { try await shared.value }
        name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        try await server.createDatabase(name)
        url = server.connectionString(database: name)
        configuration = try Self.configuration(url)
        guard migrated else { return }
        try await onThread { [configuration] in
            var connection = try PostgresConnection(configuration)
            _ = try Migrator.tickstream.migrate(&connection)
        }
    }

    /// The same database in a server that follows the first one, or has taken its place.
    package init(_ other: TestDatabase, in server: PostgresServer) throws {
        name = other.name
        url = server.connectionString(database: name)
        configuration = try Self.configuration(url)
    }

    /// For the tests' own connections: a busy machine may need longer than the programs wait, who try again.
    private static func configuration(_ url: String) throws -> PostgresConfiguration {
        try PostgresConfiguration(
            "\(url)&connect_timeout=\(hangLimit.components.seconds)", applicationName: "tests")
    }

    /// Runs a blocking test with a new database on a thread of its own.
    package static func run<R: Sendable>(_ body: @escaping @Sendable (TestDatabase) throws -> R) async throws -> R {
        let database = try await TestDatabase()
        return try await onThread { try body(database) }
    }

    package func connect() throws -> PostgresConnection { try PostgresConnection(configuration) }

    package func execute(_ sql: String) throws {
        var connection = try connect()
        try connection.execute(sql)
    }

    /// The rows as texts, with `NULL` where there is no value.
    package func rows(_ sql: String) throws -> [[String]] {
        var connection = try connect()
        let result = try connection.query(sql)
        return (0..<result.rowCount).map { row in
            (0..<result.columnCount).map { result.string(row, $0) ?? "NULL" }
        }
    }

    /// The first value of the first row, as a text; empty when there is no row.
    package func value(_ sql: String) throws -> String { try rows(sql).first?.first ?? "" }
}
