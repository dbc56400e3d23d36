import DatabaseTestSupport
import Postgres
import TestSupport
import TradeModel

/// What one transaction of the consumer brings of one partition: rows, and the batch that tells how long they took.
struct IngestedBatch {
    var log = 1
    var partition = 0
    var firstOffset: Int64
    /// Records that are no trades, at the end of it.
    var rejected = 0
    var committedAt: Timestamp
    /// When each trade was where, in microseconds before the commit: the trade itself, the producer, the consumer.
    var ages: [(trade: Int64, toKafka: Int64, toConsumer: Int64)]

    /// Beyond the last record.
    var nextOffset: Int64 { firstOffset + Int64(ages.count + rejected) }

    /// One of up to a few hundred trades, of which some are ahead of the clock.
    init(
        log: Int = 1, partition: Int = 0, firstOffset: Int64, committedAt: Timestamp, _ random: inout SplitMix64
    ) {
        (self.log, self.partition, self.firstOffset, self.committedAt) = (log, partition, firstOffset, committedAt)
        rejected = random.oneIn(3) ? 1 + random.below(3) : 0
        let count = random.oneIn(8) ? 0 : random.below(1 << random.below(8))
        if count == 0 { rejected += 1 }
        ages = (0..<count).map { _ in
            let toConsumer = 1 + Int64(random.below(1 << (4 + random.below(16))))
            let toKafka = toConsumer + Int64(random.below(1 << (4 + random.below(20)))) - (random.oneIn(9) ? 900 : 0)
            // The feed's clock is coarser, and may be ahead.
            let trade = toKafka + Int64(random.below(1 << (8 + random.below(22)))) - (random.oneIn(9) ? 90_000 : 0)
            return (trade, toKafka, toConsumer)
        }
    }

    private static let hops = ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"]

    /// The row of `ingest_batch`, as the consumer writes it.
    var statement: String {
        let durations = [
            ages.map { $0.trade - $0.toKafka }, ages.map { $0.toKafka - $0.toConsumer }, ages.map(\.toConsumer),
            ages.map(\.trade),
        ]
        let hops = zip(Self.hops, durations).map { hop, durations in
            var histogram = LatencyHistogram()
            for duration in durations { histogram.record(microseconds: duration) }
            let names = ["negative", "sum", "min", "max", "buckets", "counts"].map { "\(hop)_\($0)" }
            let values: [String] = [
                "\(histogram.negativeCount)", "\(histogram.sum)", histogram.minimum.map { "\($0)" } ?? "NULL",
                histogram.maximum.map { "\($0)" } ?? "NULL",
                "'{\(histogram.buckets.map { "\($0.bucket)" }.joined(separator: ","))}'",
                "'{\(histogram.buckets.map { "\($0.count)" }.joined(separator: ","))}'",
            ]
            return (names.joined(separator: ", "), values.joined(separator: ", "))
        }
        return """
            INSERT INTO ingest_batch (log_id, kafka_partition, first_offset, next_offset, committed_at, row_count, rejected,
                resent, \(hops.map(\.0).joined(separator: ", ")))
            VALUES (\(log), \(partition), \(firstOffset), \(nextOffset), '\(committedAt)', \(ages.count), \(rejected), 0,
                \(hops.map(\.1).joined(separator: ", ")));
            """
    }

    /// The trades' rows.
    var rows: String {
        guard !ages.isEmpty else { return "" }
        func moment(_ age: Int64) -> String { "'\(Timestamp(microseconds: committedAt.microseconds - age))'" }
        let values = ages.enumerated().map { index, age in
            let id = Int64(log) << 51 | Int64(partition) << 40 | (firstOffset + Int64(index))
            return """
                (\(id), 'A', 1, \(moment(age.trade)), 1, \(moment(age.toKafka)), \(moment(age.toConsumer)),
                    '\(committedAt)', \(partition), \(firstOffset + Int64(index)), 'tests', 0, 0)
                """
        }
        return """
            INSERT INTO trade_data_finhub (id, symbol, price, "timestamp", volume, to_kafka, to_consumer, to_db,
                kafka_partition, kafka_offset, source, sequence, repeat) VALUES \(values.joined(separator: ","));
            """
    }
}

extension TestDatabase {
    /// Stores batches of a partition one after the other, each behind the last one.
    /// - Parameter every: seconds from one to the next.
    /// - Returns: where the partition stands then.
    @discardableResult
    func storeBatches(
        _ count: Int, log: Int = 1, partition: Int, from firstOffset: Int64 = 0, at start: Timestamp, every: Int64 = 7,
        withRows: Bool = false, _ random: inout SplitMix64
    ) throws -> Int64 {
        var offset = firstOffset
        var statements = ""
        for index in 0..<count {
            let moment = start.microseconds + Int64(index) * every * 1_000_000 + Int64(random.below(1_000_000))
            let batch = IngestedBatch(
                log: log, partition: partition, firstOffset: offset, committedAt: Timestamp(microseconds: moment),
                &random)
            // Now and then a topic has a hole.
            offset = batch.nextOffset + (random.oneIn(10) ? 5 : 0)
            statements += batch.statement
            if withRows { statements += batch.rows }
        }
        try execute(statements)
        return offset
    }

    /// What the latency rollups of both grains have, and plain SQL over `ingest_batch` has not, either way round.
    func latencyDifferences() throws -> [[String]] {
        try [("1m", "minute"), ("1h", "hour")].flatMap { grain, unit in
            try differences(
                """
                SELECT window_start, hop, trades::numeric, negative::numeric, sum, min, max,
                       (SELECT string_agg(b || ':' || c, ',' ORDER BY b) FROM unnest(buckets, counts) AS each (b, c))
                FROM latency_rollup_\(grain)
                """,
                ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"].map { hop in
                    """
                    SELECT windows.*, (
                        SELECT string_agg(b || ':' || c, ',' ORDER BY b) FROM (
                            SELECT b, sum(c) AS c FROM ingest_batch, unnest(\(hop)_buckets, \(hop)_counts) AS each (b, c)
                            WHERE date_trunc('\(unit)', committed_at, 'UTC') = window_start GROUP BY 1) AS added)
                    FROM (
                        SELECT date_trunc('\(unit)', committed_at, 'UTC') AS window_start, '\(hop)',
                               sum(row_count - \(hop)_negative)::numeric, sum(\(hop)_negative)::numeric,
                               sum(\(hop)_sum), min(\(hop)_min), max(\(hop)_max)
                        FROM ingest_batch WHERE row_count > 0 GROUP BY 1
                    ) AS windows
                    """
                }.joined(separator: "\nUNION ALL\n"))
        }
    }
}
