import DatabaseTestSupport
import ExactlyOnce
import Kafka
import KafkaTestSupport
import Postgres
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import Consumer

/// What a batch tells of itself, beside what it has stored.
@Suite(.timeLimit(.minutes(10))) struct IngestBatchesTests {
    private static let hops = [
        ("feed_to_kafka", #"to_kafka - "timestamp""#), ("kafka_to_consumer", "to_consumer - to_kafka"),
        ("consumer_to_db", "to_db - to_consumer"), ("feed_to_db", #"to_db - "timestamp""#),
    ]

    private static func json(time: Timestamp, toKafka: Timestamp, sequence: Int) -> String {
        #"{"s":"A","p":1,"t":\#(time.milliseconds),"v":1,"to_kafka":"\#(toKafka)","src":"tests","seq":\#(sequence)}"#
    }

    /// Trades of the last hour, some of whose times are ahead of the clock.
    private static func trades(_ sequences: Range<Int>, _ random: inout SplitMix64) -> [String] {
        let now = Timestamp.now()
        return sequences.map { sequence in
            let age = Int64(random.below(1 << (8 + random.below(24)))) - 1_000_000
            let time = Timestamp(microseconds: now.microseconds - age)
            return json(
                time: time, toKafka: Timestamp(microseconds: time.microseconds + Int64(random.below(500_000)) - 50_000),
                sequence: sequence)
        }
    }

    /// Stores values as records of two partitions in turn, one transaction a given number of them.
    private static func store(_ values: [String], each size: Int, in database: TestDatabase) throws {
        let batch = TradeBatch(metrics: ConsumerMetrics(MetricsRegistry(), topic: "trades"))
        var marks = [SourceMarks(), SourceMarks()]
        var connection = try database.connect()
        try Records().forEach(values) { record in
            let partition = Int(record.offset % 2)
            let id = RowID.of(log: 7, partition: Int32(3 + partition), offset: record.offset)
            batch.append(record, id: id, marks: &marks[partition])
            guard (record.offset + 1) % Int64(size) == 0 else { return }
            try connection.begin()
            try batch.write(to: &connection)
            try connection.commit()
            batch.reset()
        }
    }

    @Test func `a row a partition tells what became of each record`() async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 1)
        let trades = Self.trades(1..<8, &random)
        try Self.store(
            // Two transactions of six; odd offsets are of the second partition.
            [trades[0], "nonsense", trades[1], trades[2], trades[1], trades[3]]
                + ["nonsense", trades[3], "more", trades[4], trades[5], "more"],
            each: 6, in: database)
        #expect(
            try database.rows(
                """
                SELECT log_id, kafka_partition, first_offset, next_offset, row_count, rejected, resent
                FROM ingest_batch ORDER BY first_offset
                """) == [
                    ["7", "3", "0", "5", "2", "0", "1"], ["7", "4", "1", "6", "2", "1", "0"],
                    ["7", "3", "6", "11", "1", "2", "0"], ["7", "4", "7", "12", "1", "1", "1"],
                ])
        #expect(
            try database.rows(
                """
                SELECT count(*) FROM trade_data_finhub JOIN ingest_batch
                ON ingest_batch.kafka_partition = id >> 40 & 2047 AND kafka_offset >= first_offset AND kafka_offset < next_offset
                    AND to_db = committed_at
                """) == [["6"]])
    }

    @Test func `trades that had been rejected are told apart, and how long they took is not`() async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 4)
        let trades = Self.trades(1..<7, &random)
        let again = trades.map { $0.replacing(#""src":"tests""#, with: #""src":"retry""#) }
        // The last transaction has nothing else, and a record that was stored before.
        try Self.store(
            [trades[0], again[1], again[2], trades[3], again[4], again[4]]
                + [again[2], "nonsense", again[2], again[5], again[4], again[5]], each: 6, in: database)
        #expect(
            try database.rows(
                """
                SELECT kafka_partition, first_offset, row_count, retried, rejected, resent,
                    coalesce((SELECT sum(n) FROM unnest(feed_to_db_counts) AS n), 0) + feed_to_db_negative
                FROM ingest_batch ORDER BY first_offset
                """) == [
                    ["3", "0", "1", "2", "0", "0", "1"], ["4", "1", "1", "2", "0", "0", "1"],
                    ["3", "6", "0", "0", "0", "3", "0"], ["4", "7", "0", "1", "1", "1", "0"],
                ])
        #expect(try database.value("SELECT count(*) FROM trade_data_finhub WHERE source = 'retry'") == "5")
        #expect(
            try database.value("SELECT sum(trades + negative) FROM exact_process_time('-infinity', 'infinity')") == "8")
    }

    @Test func `a transaction of rejections alone is told too, and one of nothing is not`() async throws {
        let database = try await TestDatabase()
        try Self.store(["nonsense", "more"], each: 2, in: database)
        #expect(
            try database.rows("SELECT row_count, rejected, feed_to_db_min, feed_to_db_buckets FROM ingest_batch")
                == [["0", "1", "NULL", "{}"], ["0", "1", "NULL", "{}"]])
        let batch = TradeBatch(metrics: ConsumerMetrics(MetricsRegistry(), topic: "trades"))
        var connection = try database.connect()
        try batch.write(to: &connection)
        #expect(try database.value("SELECT count(*) FROM ingest_batch") == "2")
    }

    @Test func `what is rolled back leaves no trace, and the batch goes with the next attempt`() async throws {
        let database = try await TestDatabase()
        let batch = TradeBatch(metrics: ConsumerMetrics(MetricsRegistry(), topic: "trades"))
        var marks = SourceMarks()
        var random = SplitMix64(seed: 2)
        try Records().forEach(Self.trades(0..<3, &random)) {
            batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        for attempt in 0..<2 {
            try connection.begin()
            try batch.write(to: &connection)
            if attempt == 0 { try connection.rollback() } else { try connection.commit() }
        }
        #expect(
            try database.rows("SELECT first_offset, next_offset, row_count FROM ingest_batch") == [["0", "3", "3"]])
    }

    @Test func `durations are those of the rows, and quantiles within one percent of theirs`() async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 3)
        try Self.store(Self.trades(0..<4000, &random), each: 500, in: database)
        for (hop, duration) in Self.hops {
            let microseconds = "(extract(epoch FROM \(duration)) * 1000000)::bigint"
            let exact = try database.rows(
                """
                SELECT count(*) FILTER (WHERE d >= 0), count(*) FILTER (WHERE d < 0), sum(d) FILTER (WHERE d >= 0),
                       min(d) FILTER (WHERE d >= 0), max(d)
                FROM (SELECT \(microseconds) AS d FROM trade_data_finhub) AS all_of_them
                """)
            #expect(
                try database.rows(
                    """
                    SELECT sum(row_count - \(hop)_negative), sum(\(hop)_negative), sum(\(hop)_sum), min(\(hop)_min),
                           max(\(hop)_max)
                    FROM ingest_batch
                    """) == exact)
            #expect(
                try database.rows(
                    """
                    SELECT trades, negative, (mean * 1e6 * trades)::bigint, (minimum * 1e6)::bigint, (maximum * 1e6)::bigint
                    FROM ingest_latency('-infinity', every => '36500 days') WHERE hop = '\(hop)'
                    """) == exact)
            let near = try database.rows(
                """
                SELECT share, abs(told.value - exact.value) <= exact.value * 0.01
                FROM (SELECT share, percentile_disc(share) WITHIN GROUP (ORDER BY d) AS value
                      FROM (SELECT \(microseconds) AS d FROM trade_data_finhub) AS all_of_them,
                           unnest('{0.5,0.95,0.99}'::float[]) AS share
                      WHERE d >= 0 GROUP BY share) AS exact
                JOIN (SELECT share, value * 1e6 AS value
                      FROM ingest_latency('-infinity', every => '36500 days'),
                           unnest('{0.5,0.95,0.99}'::float[], ARRAY[p50, p95, p99]) AS each (share, value)
                      WHERE hop = '\(hop)') AS told USING (share) ORDER BY 1
                """)
            #expect(near == [["0.5", "t"], ["0.95", "t"], ["0.99", "t"]], "\(hop)")
        }
    }

    @Test func `the database reads buckets as they were written`() async throws {
        let database = try await TestDatabase()
        let told = try database.rows(
            "SELECT latency_bucket(n) FROM generate_series(0, \(LatencyHistogram.bucketCount - 1)) AS n ORDER BY n")
        #expect(told == (0..<LatencyHistogram.bucketCount).map { ["\(LatencyHistogram.middle(of: $0))"] })
    }

    @Test func `batches are kept in a partition a day, for as long as they are to be kept`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            var maintenance = PartitionMaintenance.of("ingest_batch", keeping: 7)
            try maintenance.run(today: today, &connection)
            try maintenance.run(today: today + 4, &connection)
            #expect(try database.partitions(of: "ingest_batch") == (18...28).map { "2026-11-\($0)" } + ["default"])
        }
    }
}
