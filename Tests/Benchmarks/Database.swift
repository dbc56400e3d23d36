import Foundation
import LocalServers
import Migrations
import Postgres

/// A private PostgreSQL with the schema, as durable as PostgreSQL comes.
@MainActor
final class Database {
    let connectionString: String
    /// For what a copy is made of; the server's user need not reach it.
    private let directory: TemporaryDirectory
    private let server: PostgresServer
    private var connection: PostgresConnection

    /// Starts the server and brings its schema.
    static func start() async throws -> Database {
        // Vacuuming in the middle of some runs would only add noise.
        let server = try PostgresServer(durability: .durable, settings: ["autovacuum": "off"])
        try await server.start()
        return try Database(server)
    }

    private init(_ server: PostgresServer) throws {
        self.server = server
        directory = try TemporaryDirectory(prefix: "tickstream-bench")
        connectionString = server.connectionString()
        connection = try PostgresConnection(PostgresConfiguration(connectionString, applicationName: "bench"))
        _ = try Migrator.tickstream.migrate(&connection)
        // The day of the workload's trades, as the consumer makes those of the time.
        try connection.execute("SELECT tickstream_make_day('trade_data_finhub', '2026-01-05')")
    }

    /// Empties all tables and writes out what is in memory, so that each run begins the same.
    func clear() throws {
        try connection.execute(
            """
            TRUNCATE trade_data_finhub, ingest_batch, rejected_trade, trade_rollup_1s, trade_rollup_1m, trade_rollup_1h,
                feed_event, source_position, offset_ledger, topic_log
            """)
        try connection.execute("CHECKPOINT")
    }

    /// A number that a query answers.
    func number(_ sql: String) throws -> Int {
        guard let number = try connection.query(sql).int64(0, 0) else { throw BenchError("no number came of \(sql)") }
        return Int(number)
    }

    /// How far a reader has come over all partitions of the trades; nil as long as it has claimed none.
    func position(of reader: String) throws -> Int? {
        let row = try connection.query(
            """
            SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id) WHERE reader = $1 AND topic <> $2
            """, parameters: [.text(reader), .text(Topic.events)])
        return row.int64(0, 0).map { Int($0) }
    }

    /// Fails unless the query answers the number.
    func expect(_ number: Int, _ sql: String) throws {
        let found = try self.number(sql)
        guard found == number else { throw BenchError("counted \(found) where \(number) must be: \(sql)") }
    }

    /// Writes a table's rows to a file, in COPY's binary format.
    func copyOut(_ table: String) async throws {
        _ = try await psql("\\copy (select * from \(table)) to '\(file(table))' (format binary)")
    }

    /// Loads what `copyOut` wrote, by psql's `\copy`.
    /// - Returns: psql's own time of the command.
    func copyIn(_ table: String) async throws -> Duration {
        let output = try await psql("\\copy \(table) from '\(file(table))' (format binary)")
        guard let line = output.split(separator: "\n").last(where: { $0.hasPrefix("Time: ") }),
            let milliseconds = Double(line.split(separator: " ")[1])
        else { throw BenchError("psql told no time: \(output)") }
        return .milliseconds(milliseconds)
    }

    private func file(_ table: String) -> String { "\(directory.path)/\(table)" }

    private func psql(_ command: String) async throws -> String {
        try await ChildProcess.run(
            "psql",
            ["--no-psqlrc", "--dbname", connectionString, "--command", "\\timing on", "--command", command],
            limit: .seconds(600))
    }
}
