import DatabaseTestSupport
import Postgres
import Testing
import TradeModel

@testable import KPIService

/// received = acknowledged = consumed = written + rejected, with a producer's events and a consumer's batches made up.
@Suite(.timeLimit(.minutes(10))) struct ConservationTests {
    /// Three minutes of a producer: ten trades each, at 5 s, 10 s … of the minute; five of A, three of B and two of C.
    private static func tables() async throws -> TradeTables {
        let tables = try await TradeTables()
        try tables.database.execute(
            """
            INSERT INTO trade_data_finhub
            SELECT (1::bigint << 51) + number, (ARRAY['A','B','A','C','A','B','A','C','A','B'])[1 + number % 10], 1, at, 1, NULL,
                at, at, at + interval '1 second', 0, number, 'one', number, 0
            FROM (SELECT number, timestamptz '2026-08-28 12:00Z' + (number / 10) * interval '1 minute'
                + (number % 10 + 1) * interval '5 seconds' AS at FROM generate_series(0, 29) AS number) AS trade;
            INSERT INTO feed_event (id, at, source, sequence, kind, received, rejected, enqueued, acknowledged, details,
                kafka_partition, kafka_offset)
            SELECT number, timestamptz '2026-08-28 12:00Z' + number * interval '1 minute', 'one', number,
                CASE WHEN number = 0 THEN 'connected' ELSE 'counters' END, 10, 0, 10, 10,
                CASE WHEN number > 0 THEN '{"A": 5, "B": 3, "C": 2}'::jsonb END, 0, number
            FROM generate_series(0, 3) AS number;
            INSERT INTO ingest_batch (log_id, kafka_partition, first_offset, next_offset, committed_at, row_count, rejected,
                resent, \(hops))
            SELECT 1, 0, number, number + 1, to_db, 1, 0, 0, \(values)
            FROM (SELECT kafka_offset AS number, to_db FROM trade_data_finhub) AS trade;
            UPDATE offset_ledger SET next_offset = 30 WHERE partition = 0
            """)
        try tables.rebuild()
        return tables
    }

    private static let names = ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"]
    private static let values = names.map { _ in "0, 0, '{}', '{}'" }.joined(separator: ", ")
    private static var hops: String {
        names.flatMap { name in ["sum", "negative", "buckets", "counts"].map { "\(name)_\($0)" } }
            .joined(separator: ", ")
    }

    @Test func `what was received, acknowledged, consumed and written agrees`() async throws {
        let (lines, result) = try await Self.tables().verify()
        #expect(lines == [])
        #expect(result.differences == 0)
    }

    static let faults: [(sql: String, lines: [String])] = [
        // A trade of the second minute.
        (
            "DELETE FROM trade_data_finhub WHERE sequence = 13",
            [
                "feed_event (received): source=one symbol=C at=2026-08-28 12:02:00+00: stored is 3 and should be 4",
                "ingest_batch (written): log_id=1 kafka_partition=0 minute=2026-08-28 12:01:00+00: trades is 9 and should be 10",
                "feed_event (acknowledged): source=one: stored is 29 and should be 30",
            ]
        ),
        // The same, and the producer had connected at its second attempt.
        (
            """
            DELETE FROM trade_data_finhub WHERE sequence = 13;
            DELETE FROM ingest_batch;
            INSERT INTO feed_event (id, at, source, sequence, kind, kafka_partition, kafka_offset)
                VALUES (9, '2026-08-28 11:59:30Z', 'one', -1, 'disconnected', 0, 9)
            """,
            [
                "feed_event (received): source=one symbol=C at=2026-08-28 12:02:00+00: stored is 3 and should be 4",
                "feed_event (acknowledged): source=one: stored is 29 and should be 30",
            ]
        ),
        (
            "UPDATE ingest_batch SET row_count = 0 WHERE first_offset = 3",
            [
                "ingest_batch (consumed): log_id=1 kafka_partition=0 first_offset=3: records is 1 and should be 0",
                "ingest_batch (written): log_id=1 kafka_partition=0 minute=2026-08-28 12:00:00+00: trades is 10 and should be 9",
            ]
        ),
        (
            "UPDATE ingest_batch SET first_offset = 4, row_count = 0, rejected = 1, next_offset = 5 WHERE first_offset = 3; "
                + "DELETE FROM ingest_batch WHERE first_offset = 4 AND row_count = 1",
            [
                "ingest_batch (consumed): log_id=1 kafka_partition=0 first_offset=4: left_out is 1 and should be 0",
                "ingest_batch (written): log_id=1 kafka_partition=0 minute=2026-08-28 12:00:00+00: trades is 10 and should be 8",
            ]
        ),
    ]

    @Test(arguments: faults)
    func `what does not agree is named by symbol, minute and partition`(_ sql: String, _ lines: [String]) async throws {
        let tables = try await Self.tables()
        try tables.database.execute(sql)
        let told = try tables.verify().lines.filter { !$0.hasPrefix("trade_rollup") && $0.contains("(") }
        #expect(told.sorted() == lines.sorted())
    }

    @Test(arguments: [
        // Stored in its place: only the database had refused it.
        """
        UPDATE ingest_batch SET row_count = 0, rejected = 1 WHERE first_offset = 4;
        UPDATE trade_data_finhub SET to_consumer = to_db WHERE sequence = 4
        """,
        // Through the topic, beside a batch that tells of nothing else.
        "UPDATE ingest_batch SET row_count = 0, retried = 1 WHERE first_offset = 4",
    ])
    func `what 'rejected retry' gave back is no difference`(_ sql: String) async throws {
        let tables = try await Self.tables()
        try tables.database.execute(sql)
        #expect(try tables.verify().lines == [])
    }

    /// None of these loses a trade.
    @Test(arguments: [
        // Dropped at the producer, as it says.
        """
        DELETE FROM trade_data_finhub WHERE sequence = 13;
        UPDATE feed_event SET enqueued = 9, acknowledged = 9 WHERE sequence = 2;
        INSERT INTO feed_event (id, at, source, sequence, kind, details, kafka_partition, kafka_offset)
            VALUES (9, '2026-08-28 12:01:30Z', 'one', 4, 'dropped', '{"spool_full": 1}', 0, 9)
        """,
        // Waiting in its spool.
        """
        DELETE FROM trade_data_finhub WHERE sequence = 29;
        UPDATE feed_event SET acknowledged = 9 WHERE sequence = 3
        """,
        // A producer that was killed: the third minute's counts are gone with it, and the next run begins anew.
        """
        UPDATE feed_event SET kind = 'connected', details = NULL, at = at - interval '1 second' WHERE sequence = 3
        """,
        // Skipped by an operator.
        """
        DELETE FROM ingest_batch WHERE first_offset = 4;
        UPDATE trade_data_finhub SET to_consumer = to_db WHERE sequence = 4;
        INSERT INTO feed_event (id, at, source, sequence, kind, details, kafka_partition, kafka_offset)
            VALUES ((1::bigint << 51) + 4, '2026-08-28 12:01:30Z', 'ledger reset', 4, 'records_skipped',
                '{"topic": "trades", "first_offset": 4, "next_offset": 5}', 0, 4)
        """,
    ])
    func `what is accounted for is no difference`(_ sql: String) async throws {
        let tables = try await Self.tables()
        try tables.database.execute(sql)
        let told = try tables.verify().lines.filter { $0.contains("(consumed)") || $0.contains("(received)") }
        #expect(told == [])
    }
}
