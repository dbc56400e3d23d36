import Foundation
import LocalServers
import Migrations
import Postgres
import ServiceKit
import TradeModel

/// A private PostgreSQL with the schema, as durable as PostgreSQL comes.
@MainActor
final class Database {
    let connectionString: String
    /// For what a copy is made of; the server's user need not reach it.
    private let directory: TemporaryDirectory
    private let server: PostgresServer
    private var connection: PostgresConnection

    /// Starts the server and brings its schema.
    /// - Parameter flushDelay: how much longer each flush of the log takes, in microseconds.
    static func start(flushDelay: Int) async throws -> Database {
        // Vacuuming in the middle of some runs would only add noise. The moments of commits are what latency is made of.
        var settings = ["autovacuum": "off", "track_commit_timestamp": "on"]
        if flushDelay > 0 { settings.merge(["commit_delay": "\(flushDelay)", "commit_siblings": "0"]) { $1 } }
        let server = try PostgresServer(durability: .durable, settings: settings)
        try await server.start()
        return try Database(server, flushDelay: flushDelay)
    }

    /// What people have to know of it.
    let summary: String

    private init(_ server: PostgresServer, flushDelay: Int) throws {
        self.server = server
        let delay = flushDelay > 0 ? "each flush \(flushDelay) µs longer, " : ""
        summary = "a private PostgreSQL, fsync on, autovacuum off, \(delay)all else by default"
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

    /// How far a reader has come in each partition of the trades.
    func positions(of reader: String, partitions: Int) throws -> [Int64] {
        let rows = try connection.query(
            """
            SELECT partition, next_offset FROM offset_ledger JOIN topic_log USING (log_id) WHERE reader = $1 AND topic <> $2
            """, parameters: [.text(reader), .text(Topic.events)])
        var positions = [Int64](repeating: 0, count: partitions)
        for row in 0..<rows.rowCount {
            guard let partition = rows.int64(row, 0), let position = rows.int64(row, 1) else { continue }
            positions[Int(partition)] = position
        }
        return positions
    }

    /// Fails unless the query answers the number.
    func expect(_ number: Int, _ sql: String) throws {
        let found = try self.number(sql)
        guard found == number else { throw BenchError("counted \(found) where \(number) must be: \(sql)") }
    }

    /// Adds rows to the trades, each in a transaction of its own.
    /// - Returns: the medians of the time that they took.
    func commitSingleRows(_ count: Int) throws -> SingleCommits {
        try connection.execute(
            """
            PREPARE single_row (bigint) AS
            INSERT INTO trade_data_finhub VALUES
                ($1, 'AAPL', 317.775, '2026-01-05 14:30Z', 200, '["1"]', now(), now(), now(), 0, $1, 'single', $1, 0)
            """)
        var times: [Int64] = []
        var answers: [Int64] = []
        for number in 1...count {
            let begun = Timestamp.now()
            try connection.execute("EXECUTE single_row (\(number))")
            let answered = Timestamp.now()
            times.append(answered.microseconds - begun.microseconds)
            answers.append(answered.microseconds)
        }
        try connection.execute("DEALLOCATE single_row")
        let moments = try connection.query(
            """
            SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM trade_data_finhub ORDER BY id
            """)
        let flushes = answers.indices.map { answers[$0] - (moments.int64($0, 0) ?? .min) }
        func median(_ values: [Int64]) -> Double { Double(values.sorted()[values.count / 2]) / 1000 }
        return SingleCommits(time: median(times), flush: median(flushes))
    }

    /// Percentiles of the time between two moments of the trades in the table, in milliseconds.
    /// - Parameter moments: the earlier one and the later one: columns, or `committed` for the moment that PostgreSQL notes
    ///   as that of the commit.
    func milliseconds(_ moments: (String, String), _ shares: [Double]) throws -> [Double] {
        let result = try connection.query(
            """
            SELECT unnest(percentile_cont(ARRAY[\(shares.map { "\($0)" }.joined(separator: ", "))]) WITHIN GROUP (
                ORDER BY extract(epoch FROM \(moments.1) - \(moments.0)) * 1000))
            FROM (SELECT *, pg_xact_commit_timestamp(xmin) AS committed FROM trade_data_finhub) AS trades
            """)
        return try shares.indices.map { row in
            guard let number = result.string(row, 0).flatMap(Double.init) else {
                throw BenchError("PostgreSQL has no moments of commits")
            }
            return number
        }
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
