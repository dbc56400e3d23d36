import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

/// The programs behind the real PgBouncer, in transaction mode.
@Suite(
    .timeLimit(.minutes(10)),
    .enabled(if: PgBouncer.isThere, "needs PgBouncer: deploy/local/setup.sh pgbouncer gets it"))
struct PoolerTests {
    private static let poolSize = 3
    private let server: PostgresServer
    private let pooler: PgBouncer
    private let database: TestDatabase
    private var url: String { pooler.connectionString(database: database.name) }

    init() async throws {
        server = try PostgresServer(durability: .disposable)
        try await server.start()
        pooler = try PgBouncer(for: server, poolSize: Self.poolSize)
        try await pooler.start()
        database = try await TestDatabase(in: server, migrated: false)
    }

    private func consumer(_ arguments: [String], _ broker: Broker) async throws -> RunningProgram.Ended {
        try await RunningProgram.run(
            "consumer", arguments, ["DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap])
    }

    /// Ends all sessions but those of the tests.
    private func endSessions() throws {
        try database.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """)
    }

    @Test func `nothing is lost or doubled while sessions end and the pooler is started anew`() async throws {
        var run = try await ReadersRun()
        let migrated = try await consumer(["migrate"], run.broker)
        #expect(migrated.status == .exited(0), "\(migrated)")
        try database.execute("SELECT tickstream_make_day('ingest_batch', current_date - 20)")

        // Two processes a program, with two sessions a consumer: more than the pool has.
        let readers = try (RunningProgram.readers + RunningProgram.readers).map {
            try RunningProgram.reader($0, run.broker, url)
        }
        for round in 1...6 {
            let before = run.written
            try await run.write()
            switch round {
            case 2, 3, 5: try endSessions()
            case 4:
                await pooler.stop()
                try await run.write()
                try await pooler.start()
            default: break
            }
            try await run.waitUntilStored(readers, atLeast: before * Int(ReadersRun.partitions) + 1, in: database)
        }
        try await run.waitUntilStored(readers, in: database)
        let sessions = try database.value(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name <> 'tests'
            """)
        #expect((1...Self.poolSize).contains(Int(sessions)!))
        try await readers[0].wait(for: "the partitions to be maintained") {
            try database.rows(
                """
                SELECT bool_or(daily_table = 'trade_data_finhub' AND day = current_date + 3),
                    bool_or(day < current_date - 10) FROM daily_partition
                """) == [["t", "f"]]
        }
        for reader in readers { try await reader.stop() }
        try run.check(database)

        let shown = try await consumer(["ledger", "show", "--topic", run.broker.topic], run.broker)
        #expect(shown.status == .exited(0), "\(shown)")
        #expect(shown.output.split(separator: "\n").count == 1 + 2 * Int(ReadersRun.partitions), "\(shown)")
        let reset = try await consumer(
            ["ledger", "reset", "--topic", run.broker.topic, "--partition", "0", "--to", "earliest"], run.broker)
        #expect(reset.status == .exited(0), "\(reset)")
        #expect(
            try database.value(
                "SELECT count(*) FROM offset_ledger JOIN topic_log USING (log_id) WHERE generation = 2 AND next_offset = 0"
            ) == "2")
    }
}
