import DatabaseTestSupport
import Foundation
import LocalServers
import Postgres
import ProgramTestSupport
import TestSupport
import Testing

/// What users may do who are members of one group of the schema and own nothing.
@Suite(.timeLimit(.minutes(10))) struct RolesTests {
    private let database: TestDatabase

    init() async throws { database = try await TestDatabase() }

    /// Makes a user who may do what a group may; returns the connection string.
    private func makeUser(_ group: String) throws -> String {
        try database.makeUser(password: "secret", "IN ROLE \(group)")
    }

    private func connect(_ url: String) throws -> PostgresConnection {
        try PostgresConnection(PostgresConfiguration(url, applicationName: "roles"))
    }

    /// One row of everything, of both readers.
    private func fill() throws {
        try database.execute(
            """
            INSERT INTO topic_log (log_id, cluster_id, topic) VALUES (1, 'cluster', 'trades');
            INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
                VALUES ('consumer', 1, 0, 1, 5, 1), ('kpi-service', 1, 0, 1, 5, 1);
            INSERT INTO source_position VALUES ('consumer', 1, 0, 'one', 5), ('kpi-service', 1, 0, 'one', 5);
            INSERT INTO rejected_trade VALUES (7, 'trades', 0, 7, 'bad_text', 'secret', now());
            INSERT INTO trade_data_finhub VALUES (1, 'A', 1, now(), 1, NULL, now(), now(), now(), 0, 0, 'one', 1, 0);
            INSERT INTO feed_event (id, at, source, sequence, kind, kafka_partition, kafka_offset)
                VALUES (1, now(), 'one', 1, 'connected', 0, 0)
            """)
    }

    private static let ofNobody = [
        "UPDATE trade_data_finhub SET price = 2", "DELETE FROM trade_data_finhub", "TRUNCATE trade_data_finhub",
        "SELECT payload FROM rejected_trade", "UPDATE rejected_trade SET reason = ''", "DELETE FROM rejected_trade",
        "DELETE FROM offset_ledger", "DELETE FROM source_position", "DELETE FROM topic_log",
        "UPDATE topic_log SET topic = ''",
        "UPDATE feed_event SET cause = ''", "DELETE FROM feed_event", "UPDATE threshold SET value = 1",
        "UPDATE schema_migration SET number = 0", "CREATE TABLE mine (n int)", "CREATE ROLE tickstream_mine",
        "ALTER TABLE offset_ledger DISABLE ROW LEVEL SECURITY", "DROP TABLE trade_rollup_1s",
        "SELECT nextval('rejected_retry')", "ALTER TABLE rejected_trade OWNER TO CURRENT_USER",
        "COPY threshold TO PROGRAM 'true'", "DELETE FROM alert", "UPDATE alert SET value = 0",
        "DELETE FROM alert_transition", "UPDATE alert_transition SET sequence = DEFAULT",
    ]
    private static let ofOthers = [
        (
            "tickstream_ingest",
            [
                "SELECT FROM trade_data_finhub", "INSERT INTO trade_rollup_1s (symbol) VALUES ('A')",
                "SELECT FROM trade_rollup_1s", "SELECT FROM threshold", "SELECT cause FROM feed_event",
                "SELECT fold_ingest_batches(1)", "DELETE FROM latency_rollup_1m",
                "SELECT delete_closed_alerts('9999-12-31', 1, false)",
                "SELECT FROM alert", "SELECT FROM reader_position", "UPDATE alert_evaluation SET evaluated_at = NULL",
                "INSERT INTO offset_ledger VALUES ('kpi-service', 1, 1, 1, 0, 1)",
                "INSERT INTO source_position VALUES ('kpi-service', 1, 0, 'two', 1)",
                "UPDATE offset_ledger SET reader = 'kpi-service', partition = 3",
            ]
        ),
        (
            "tickstream_kpi",
            [
                "INSERT INTO trade_data_finhub (id) VALUES (1)", "INSERT INTO rejected_trade (id) VALUES (1)",
                "SELECT cause FROM feed_event", "INSERT INTO offset_ledger VALUES ('consumer', 1, 1, 1, 0, 1)",
            ]
        ),
        (
            "tickstream_read",
            [
                "INSERT INTO trade_data_finhub (id) VALUES (1)", "INSERT INTO trade_rollup_1s (symbol) VALUES ('A')",
                "INSERT INTO feed_event (id) VALUES (2)", "INSERT INTO topic_log VALUES (2, '', '')",
                "UPDATE offset_ledger SET next_offset = 0", "SELECT * FROM rejected_trade",
                "DELETE FROM trade_rollup_1s", "INSERT INTO latency_rollup (hop) VALUES ('A')",
                "UPDATE latency_position SET next_offset = 0", "SELECT fold_ingest_batches(1)",
                "UPDATE alert SET state = 'closed'", "UPDATE alert_evaluation SET evaluated_at = NULL",
                "DELETE FROM alert_pending",
            ]
        ),
    ]

    @Test(arguments: ofOthers) func `no one may do more than their program does`(
        _ group: String, _ others: [String]
    ) async throws {
        try fill()
        let url = try makeUser(group)
        try await onThread {
            var connection = try connect(url)
            for statement in Self.ofNobody + others {
                let error = #expect(throws: PostgresError.self, "\(statement)") { try connection.execute(statement) }
                #expect(error?.sqlState == "42501", "\(statement): \(error.map { "\($0)" } ?? "")")
            }
        }
    }

    @Test(arguments: [("tickstream_ingest", "kpi-service"), ("tickstream_kpi", "consumer")])
    func `a reader neither sees nor moves another's position`(_ group: String, _ other: String) async throws {
        try fill()
        let url = try makeUser(group)
        try await onThread {
            var connection = try connect(url)
            for table in ["offset_ledger", "source_position"] {
                #expect(try connection.query("SELECT FROM \(table) WHERE reader = '\(other)'").rowCount == 0)
                #expect(try connection.query("SELECT FROM \(table)").rowCount == 1)
            }
            let moved = try connection.execute(
                "UPDATE offset_ledger SET next_offset = 0 WHERE reader = $1", parameters: [.text(other)])
            #expect(moved == 0)
        }
        #expect(try database.value("SELECT next_offset FROM offset_ledger WHERE reader = '\(other)'") == "5")
    }

    @Test func `dashboards read all that they show`() async throws {
        try fill()
        let url = try makeUser("tickstream_read")
        try await onThread {
            var connection = try connect(url)
            for table in [
                "trade_data_finhub", "stockevents", "trade_rollup_1s", "trade_rollup_1m", "trade_rollup_1h",
                "threshold",
                "average_volume_per_symbol", "rate_of_transaction", "symbol_count_per_30s", "\"time\"",
                "median_process_time_table", "feed_event", "feed_gap", "topic_log",
                "latency_rollup", "latency_rollup_1m", "latency_rollup_1h", "latency_position",
                "latency_1m", "latency_1h", "traded_symbol", "feed_gaps",
                "candle_1s", "candle_1m", "candle_1h", "symbol_staleness",
                "exact_process_time(now() - interval '1 hour', now())",
                "alert", "alert_transition", "reader_position",
            ] {
                #expect(throws: Never.self, "\(table)") { _ = try connection.query("SELECT * FROM \(table)") }
            }
            #expect(try connection.query("SELECT reader FROM offset_ledger").rowCount == 2)
            #expect(try connection.query("SELECT reason, count(*) FROM rejected_trade GROUP BY 1").rowCount == 1)
        }
    }

    @Test func `a session is ended by the same user, and by no other program's`() async throws {
        let ingest = try makeUser("tickstream_ingest")
        let other = try makeUser("tickstream_kpi")
        try await onThread {
            let owner = try database.connect()
            var former = try connect(ingest)
            var consumer = try connect(ingest)
            var kpi = try connect(other)
            for pid in [owner.backendPID, former.backendPID] {
                let error = #expect(throws: PostgresError.self) {
                    try kpi.execute("SELECT pg_terminate_backend(\(pid))")
                }
                #expect(error?.sqlState == "42501")
            }
            let ended = try consumer.query(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid = \(former.backendPID) AND backend_start IS NOT NULL AND usename = current_user
                """)
            #expect(ended.bool(0, 0) == true)
            #expect(throws: PostgresError.self) { try former.execute("SELECT 1") }
        }
    }

    @Test func `the whole pipeline works with no more than these rights`() async throws {
        let broker = try await Broker()
        let urls = ["consumer": try makeUser("tickstream_ingest"), "kpi-service": try makeUser("tickstream_kpi")]
        for (name, url) in urls {
            let check = try await RunningProgram.run(
                name, ["check"] + broker.arguments(of: name), ["DATABASE_URL": url])
            #expect(check.status == .exited(0), "\(check)")
        }
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, urls[$0]!) }
        let (simulator, feed) = try await RunningProgram.simulator(["--rate", "500", "--limit", "1000"])
        let producer = try RunningProgram.producer(broker, feed: feed)
        try await RecordWriter(broker: broker).write(["nonsense"], to: broker.topic, partition: 0)
        for reader in readers { try await reader.waitUntilStored(atLeast: 1, from: producer) }
        try await producer.wait(for: "all trades to be acknowledged") {
            try await producer.metric("kafka_records_acknowledged_total") == 1000
        }
        try await producer.stop()
        for reader in readers {
            try await reader.wait(for: "all records to be read") {
                try database.value(
                    """
                    SELECT sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id)
                    WHERE reader = '\(reader.name)' AND topic = '\(broker.topic)'
                    """) == "1001"
            }
        }
        try await readers[0].wait(for: "the events to be stored") {
            try database.value("SELECT count(*) FROM feed_event WHERE kind = 'counters'") != "0"
        }
        try await readers[1].wait(for: "the latencies to be added up") {
            try database.value("SELECT sum(trades + negative) FROM latency_rollup_1h WHERE hop = 'feed_to_db'")
                == "1000"
        }
        for program in readers + [simulator] { try await program.stop() }
        for reader in readers { #expect(!reader.log.contains("permission denied"), "\(reader.log)") }
        #expect(try database.value("SELECT count(*) FROM trade_data_finhub") == "1000")
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "1")
        #expect(try database.rollupDifferences() == [])
        let migrate = try await RunningProgram.run("consumer", ["migrate"], ["DATABASE_URL": urls["consumer"]!])
        #expect(migrate.status == .exited(1), "\(migrate)")
    }
}
