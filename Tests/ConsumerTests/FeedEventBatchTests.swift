import DatabaseTestSupport
import ExactlyOnce
import Kafka
import KafkaTestSupport
import Postgres
import ServiceKit
import Testing
import TradeModel

@testable import Consumer

@Suite(.timeLimit(.minutes(10))) struct FeedEventBatchTests {
    /// Gathers records, and stores them in one transaction.
    private static func store(_ values: [String], in database: TestDatabase, registry: MetricsRegistry = .init()) throws
    {
        let batch = FeedEventBatch(metrics: ConsumerMetrics(registry, topic: "feed-events"))
        var marks = SourceMarks()
        try Records(topic: "feed-events").forEach(values) {
            batch.append($0, id: RowID.of(log: 2, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        try connection.begin()
        try batch.write(to: &connection)
        try connection.commit()
    }

    private static func event(_ kind: String, _ second: Int, source: String = "p", _ more: String = "") -> String {
        let time = "2026-08-28T12:00:\(second < 10 ? "0" : "")\(second)Z"
        return #"{"kind":"\#(kind)","at":"\#(time)","src":"\#(source)","seq":\#(second)\#(more)}"#
    }

    @Test func `every column holds what the event says, and where it stands`() async throws {
        let database = try await TestDatabase()
        let more =
            #","symbol":"A","cause":"\u00fc \"x\"","close_code":1001,"http_status":401,"connected_ms":9,"#
            + #""from":"2026-08-28T12:00:01.5Z","to":"2026-08-28T12:00:02Z","frames":1,"received":2,"rejected":3,"#
            + #""enqueued":4,"acknowledged":5,"details":{"B\"C":6,"A":7}"#
        try Self.store([Self.event("counters", 3, more), Self.event("connected", 4)], in: database)
        let columns = """
            id, at = '2026-08-28 12:00:03Z', source, sequence, kind, symbol, cause, close_code, http_status, connected_ms,
            gap_from = '2026-08-28 12:00:01.5Z', gap_to = '2026-08-28 12:00:02Z', frames, received, rejected, enqueued,
            acknowledged, details, kafka_partition, kafka_offset
            """
        let rows = try database.rows("SELECT \(columns) FROM feed_event ORDER BY id")
        #expect(
            rows == [
                [
                    "\(2 << 51)", "t", "p", "3", "counters", "A", "ü \"x\"", "1001", "401", "9", "t", "t", "1", "2",
                    "3",
                    "4", "5", #"{"A": 7, "B\"C": 6}"#, "0", "0",
                ],
                ["\(2 << 51 + 1)", "f", "p", "4", "connected"] + Array(repeating: "NULL", count: 13) + ["0", "1"],
            ])
    }

    @Test func `records that are no events are stored with topic and reason`() async throws {
        let database = try await TestDatabase()
        let registry = MetricsRegistry()
        try Self.store(
            [
                "nonsense", Self.event("connected", 1), Self.event("later", 2),
                Self.event("connected", 3, #","cause":1"#),
            ],
            in: database, registry: registry)
        #expect(
            try database.rows("SELECT topic, kafka_offset, reason FROM rejected_trade ORDER BY id") == [
                ["feed-events", "0", "malformed_json"], ["feed-events", "2", "unknown_kind"],
                ["feed-events", "3", "wrong_type"],
            ])
        #expect(try database.rows("SELECT sequence FROM feed_event") == [["1"]])
        #expect(
            registry.render().contains(#"records_rejected_total{reason="unknown_kind",topic="feed-events"} 1"#))
    }

    @Test func `an event that was sent again is neither stored nor rejected`() async throws {
        let database = try await TestDatabase()
        try Self.store(
            [
                Self.event("connected", 1), Self.event("counters", 2), Self.event("connected", 1),
                Self.event("counters", 2), Self.event("connected", 2, source: "q"), Self.event("disconnected", 3),
            ], in: database)
        #expect(
            try database.rows("SELECT kafka_offset, source, sequence FROM feed_event ORDER BY id")
                == [["0", "p", "1"], ["1", "p", "2"], ["4", "q", "2"], ["5", "p", "3"]])
        #expect(try database.rows("SELECT * FROM rejected_trade").isEmpty)
    }

    @Test func `a batch is full by rows, and empty after a reset`() async throws {
        let database = try await TestDatabase()
        let batch = FeedEventBatch(metrics: ConsumerMetrics(MetricsRegistry(), topic: "feed-events"))
        try Records(topic: "feed-events").forEach([Self.event("connected", 1), "nonsense"]) { record in
            for id in 0..<Int64(FeedEventBatch.maximumRows / 2) {
                #expect(!batch.isFull)
                var marks = SourceMarks()
                batch.append(record, id: id, marks: &marks)
            }
        }
        #expect(batch.isFull)
        batch.reset()
        #expect(!batch.isFull)
        var connection = try database.connect()
        try batch.write(to: &connection)
        #expect(try database.rows("SELECT id FROM feed_event UNION ALL SELECT id FROM rejected_trade").isEmpty)
    }

    @Test func `gaps are told from the last sign of a feed to the next connection`() async throws {
        let database = try await TestDatabase()
        let from = { (second: Int) in #","from":"2026-08-28T12:00:\#(second)Z""# }
        try Self.store(
            [
                Self.event("connected", 10), Self.event("counters", 11),
                Self.event("disconnected", 15, from(14) + #","cause":"lost""#),
                // Attempts in vain are part of the gap.
                Self.event("disconnected", 17, from(14) + #","cause":"refused""#), Self.event("counters", 18),
                Self.event("connected", 20, from(14)),
                // Killed: the last word is the gap's beginning, unless the next run knows better.
                Self.event("counters", 25), Self.event("connected", 30), Self.event("rejected_items", 31),
                Self.event("connected", 36, from(33)),
                Self.event("disconnected", 40, #","cause":"stopped""#),
                // Another source, whose first attempt fails and whose gap goes on.
                Self.event("disconnected", 12, source: "q", from(11) + #","cause":"down""#),
            ], in: database)
        #expect(
            try database.rows(
                """
                SELECT source, extract(second FROM gap_from)::int, extract(second FROM gap_to)::int, cause
                FROM feed_gap ORDER BY source, gap_from
                """) == [
                    ["p", "14", "20", "lost"], ["p", "25", "30", "the producer ended without a word"],
                    ["p", "33", "36", "the producer ended without a word"],
                    ["p", "40", "NULL", "stopped"], ["q", "11", "NULL", "down"],
                ])
    }
}
