import Foundation
import Kafka
import LocalServers

/// The servers that all tests of the process share, started on first use and ended with the process.
actor Servers {
    static let shared = Servers()

    /// A real Kafka, when the environment names one; else each test has an embedded broker of its own.
    static let kafkaHome = ProcessInfo.processInfo.environment["KAFKA_HOME"].flatMap { $0.isEmpty ? nil : $0 }

    private var postgres: Task<PostgresServer, any Error>?
    private var kafka: Task<KafkaServer, any Error>?
    private var counter = 0

    /// A new database, without any schema.
    func newDatabase() async throws -> Database {
        let start =
            postgres
            ?? Task {
                let server = try PostgresServer(durability: .disposable, settings: ["max_connections": "40"])
                try await server.start()
                return server
            }
        postgres = start
        let server = try await start.value
        counter += 1
        let name = "test_\(counter)"
        try await server.createDatabase(name)
        return Database(
            url: server.connectionString(database: name),
            programs: Dictionary(
                uniqueKeysWithValues: PostgresServer.Program.allCases.map {
                    ($0.rawValue, server.connectionString(database: name, of: $0))
                }))
    }

    /// Makes the users as which the programs work; some database has the schema.
    func createUsers() async throws {
        try await postgres?.value.createUsers()
    }

    /// The real Kafka's address.
    func kafkaBootstrap(home: String) async throws -> String {
        let start =
            kafka
            ?? Task {
                let server = try KafkaServer(home: KafkaHome(path: home))
                try await server.start()
                return server
            }
        kafka = start
        return try await start.value.bootstrapServers
    }
}
