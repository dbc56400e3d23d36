/// What a rule measures, by the names in the table `threshold`.
enum AlertKind: String, CaseIterable, Sendable {
    case symbolsMissing = "symbols_missing_above"
    case rateBelow = "rate_below"
    case rateAbove = "rate_above"
    case symbolStale = "symbol_stale_above"
    case processTimeP50 = "process_time_p50_above"
    case processTimeP95 = "process_time_p95_above"
    case consumerLag = "consumer_lag_above"
    case kpiLag = "kpi_lag_above"
    case rejected = "rejected_above"

    /// What a rule cannot be evaluated without.
    enum Source {
        /// Rollups that are complete up to a moment that is not long ago.
        case rollups
        /// The ends of the topic's partitions.
        case log
        /// Tables of the consumer.
        case batches
    }

    var source: Source {
        switch self {
        case .symbolsMissing, .rateBelow, .rateAbove, .symbolStale: .rollups
        case .consumerLag, .kpiLag: .log
        case .processTimeP50, .processTimeP95, .rejected: .batches
        }
    }

    /// A query of rows `(symbol, value, clearing)`: what the limit is held against, and what decides whether that is over.
    /// A symbol without a row, and a value of NULL, are within the limits. It may use what `AlertMeasures` puts before it, and
    /// its parameters of time as they stand: so the planner knows how short the stretch is.
    var measure: String {
        switch self {
        case .symbolsMissing:
            """
            SELECT NULL, value, value FROM (
                SELECT greatest(expected.value - (SELECT count(*) FROM known, rule WHERE age <= span OR open_for < span), 0)
                    AS value
                FROM threshold AS expected WHERE expected.id = 1) AS missing
            """
        case .rateBelow, .rateAbove:
            """
            SELECT NULL, rate, rate FROM rule, (
                SELECT coalesce(sum(trades), 0) / (SELECT span / 1e6 FROM rule) AS rate
                FROM (\(Self.traded)) AS traded) AS total
            WHERE symbols IS NULL AND (NOT is_below OR NOT EXISTS (SELECT FROM known)
                OR EXISTS (SELECT FROM known WHERE known.open_for >= rule.span))
            UNION ALL
            SELECT symbol, rate, rate FROM (
                SELECT known.symbol, coalesce(trades, 0) / (span / 1e6) AS rate
                FROM rule JOIN known ON symbol_fits(known.symbol, symbols) AND (NOT is_below OR known.open_for >= span)
                LEFT JOIN (SELECT symbol, sum(trades) AS trades FROM (\(Self.traded)) AS traded GROUP BY 1) AS summed
                    ON summed.symbol = known.symbol
                WHERE symbols IS NOT NULL) AS each
            """
        case .symbolStale:
            """
            SELECT symbol, silence::numeric / patience, silence_since_opening::numeric / patience
            FROM rule JOIN known ON patience > 0 AND age <= span AND (symbols IS NULL OR symbol_fits(symbol, symbols))
            """
        case .processTimeP50: Self.processTime("p50")
        case .processTimeP95: Self.processTime("p95")
        case .consumerLag: Self.lag(of: "consumer")
        case .kpiLag: Self.lag(of: "kpi-service")
        case .rejected:
            """
            SELECT NULL, sum, sum FROM (SELECT sum(rejected) AS sum FROM ingest_batch
                WHERE committed_at >= $3::timestamptz) AS batches
            """
        }
    }

    /// The trades of the stretch: whole minutes from their rollups, and what is left at both ends from those of seconds.
    private static let traded = """
        SELECT symbol, trades FROM trade_rollup_1s WHERE window_start >= $3::timestamptz AND window_start < $4::timestamptz
        UNION ALL
        SELECT symbol, trades FROM trade_rollup_1m WHERE window_start >= $4::timestamptz AND window_start < $5::timestamptz
        UNION ALL
        SELECT symbol, trades FROM trade_rollup_1s WHERE window_start >= $5::timestamptz AND window_start < $2::timestamptz
        """

    private static func processTime(_ quantile: String) -> String {
        """
        SELECT NULL, \(quantile), \(quantile) FROM (
            SELECT sum(count)::bigint AS trades, array_agg(bucket) AS buckets, array_agg(count) AS counts
            FROM (SELECT bucket, sum(count) AS count
                FROM ingest_batch
                    CROSS JOIN LATERAL unnest(feed_to_db_buckets, feed_to_db_counts) AS each (bucket, count)
                WHERE committed_at >= $3::timestamptz GROUP BY 1) AS bucket) AS merged
        CROSS JOIN LATERAL latency_quantiles(trades, buckets, counts, NULL, NULL)
        """
    }

    private static func lag(of reader: String) -> String {
        """
        SELECT NULL, lag, lag FROM (
            SELECT sum(greatest(high - greatest(coalesce(next_offset, 0), low), 0)) AS lag
            FROM log LEFT JOIN reader_position ON reader = '\(reader)' AND reader_position.cluster_id = log.cluster_id
                AND reader_position.topic = log.topic AND reader_position.partition = log.partition) AS all_partitions
        """
    }
}
