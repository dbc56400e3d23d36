import TradeModel

extension Check {
    /// The rollups of latencies against the batches that they are made of: those below the fold's positions.
    static func latencies(_ range: HourRange) -> [Check] {
        // Trades have rollups of seconds, latencies have none.
        Grain.allCases.filter { $0 != .second }.map { latencies($0, range) }
    }

    private static let hops = ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"]

    private static func latencies(_ grain: Grain, _ range: HourRange) -> Check {
        let table = "latency_rollup_\(grain.rawValue)"
        // Days whose batches have gone before days were written down lie before the first batch.
        let isComparable = """
            (\(RollupSQL.isKept("window_start", in: "ingest_batch", table)) AND window_start >= (
                SELECT date_trunc('day', min(committed_at), 'UTC') FROM ingest_batch))
            """
        let batches = """
            SELECT \(RollupSQL.window(grain, of: "committed_at")) AS window_start, batch.*
            FROM ingest_batch AS batch JOIN latency_position AS position
                ON position.log_id = batch.log_id AND position.partition = batch.kafka_partition
            WHERE batch.first_offset < position.next_offset AND row_count > 0 AND \(range.contains("committed_at"))
            """
        let made = hops.map { hop in
            """
            SELECT figures.*, coalesce(buckets, '{}') AS buckets, coalesce(counts, '{}') AS counts
            FROM (
                SELECT '\(grain.rawValue)' AS grain, window_start, '\(hop)' AS hop,
                    sum(row_count - \(hop)_negative) AS trades, sum(\(hop)_negative) AS negative, sum(\(hop)_sum) AS sum,
                    min(\(hop)_min) AS min, max(\(hop)_max) AS max
                FROM batch GROUP BY window_start
            ) AS figures LEFT JOIN (
                SELECT window_start, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(count ORDER BY bucket) AS counts
                FROM (
                    SELECT window_start, bucket, sum(count) AS count
                    FROM batch CROSS JOIN LATERAL unnest(\(hop)_buckets, \(hop)_counts) AS each (bucket, count) GROUP BY 1, 2
                ) AS bucket GROUP BY 1
            ) AS histogram USING (window_start)
            """
        }
        return Check(
            table, key: "window_start, hop",
            found: "SELECT * FROM \(table) WHERE \(range.contains("window_start")) AND \(isComparable)",
            expected: """
                SELECT * FROM (
                    WITH batch AS MATERIALIZED (\(batches)) \(made.joined(separator: "\nUNION ALL\n"))
                ) AS made WHERE \(isComparable)
                """,
            leavingOut: """
                SELECT format('%s rows from %s to %s, of whose days ingest_batch has not all batches any more',
                    count(*), min(window_start), max(window_start))
                FROM \(table) WHERE \(range.contains("window_start")) AND \(isComparable) IS NOT TRUE HAVING count(*) > 0
                """)
    }
}
