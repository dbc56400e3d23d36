import Foundation
import LocalServers
import Migrations
import Postgres

/// The server that all tests of the process share; it ends with the process.
private let shared = Task {
    let server = try PostgresServer(durability: .disposable)
    try await server.start()
    return server
}

/// A new database with the project's schema.
struct TestDatabase: Sendable {
    private let configuration: PostgresConfiguration

    init() async throws {
        let server = try await shared.value
        let name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        try await server.createDatabase(name)
        configuration = try PostgresConfiguration(server.connectionString(database: name), applicationName: "tests")
        var connection = try connect()
        _ = try Migrator.tickstream.migrate(&connection)
    }

    func connect() throws -> PostgresConnection { try PostgresConnection(configuration) }

    func execute(_ sql: String) throws {
        var connection = try connect()
        try connection.execute(sql)
    }

    /// The rows as texts, with `NULL` where there is no value.
    func rows(_ sql: String) throws -> [[String]] {
        var connection = try connect()
        let result = try connection.query(sql)
        return (0..<result.rowCount).map { row in
            (0..<result.columnCount).map { result.string(row, $0) ?? "NULL" }
        }
    }
}
