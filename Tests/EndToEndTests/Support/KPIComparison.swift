/// A KPI table beside what plain SQL makes of `trade_data_finhub` and `threshold` alone.
///
/// Sums, averages and single prices are compared as text, that is, with their scale. Highest and lowest prices are
/// compared by value: where `1.5` and `1.50` are both the highest, either may stand there.
struct KPIComparison: Sendable {
    let name: String
    let kept: String
    let plain: String

    /// How many rows are in one and not in the other, and some of them.
    func differences(in database: Database) async throws -> (count: Int, examples: [String]) {
        let rows = try await database.rows(
            """
            WITH kept AS MATERIALIZED (\(kept)), plain AS MATERIALIZED (\(plain)), differing AS (
                SELECT 'kept ' || r::text AS line FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM plain) AS r
                UNION ALL
                SELECT 'plain ' || r::text FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM kept) AS r)
            SELECT line, count(*) OVER () FROM differing ORDER BY substring(line FROM '[(].*') LIMIT 6
            """)
        return (rows.first.flatMap { $0[1] }.flatMap { Int($0) } ?? 0, rows.compactMap { $0[0] })
    }

    static let all: [KPIComparison] =
        [averageVolume, rate, symbolCount, medianTime, time, stockEvents]
        + [("1s", 1), ("1m", 60), ("1h", 3600)].map { rollup($0.0, seconds: $0.1) }

    /// The start of a trade's window of so many seconds, counted from 1970.
    private static func window(_ epoch: String = #"extract(epoch FROM "timestamp")"#, of seconds: String) -> String {
        "to_timestamp(floor(\(epoch) / \(seconds)) * \(seconds))"
    }

    private static let averageVolume = KPIComparison(
        name: "average_volume_per_symbol",
        kept: """
            SELECT symbol, average_volume::text, trades, total_volume::text, average_price::text, minimum_price,
                   maximum_price, vwap::text
            FROM average_volume_per_symbol
            """,
        plain: """
            SELECT symbol, avg(volume)::text, count(*), sum(volume)::text, avg(price)::text, min(price), max(price),
                   (sum(price * volume) / nullif(sum(volume), 0))::text
            FROM trade_data_finhub GROUP BY symbol
            """)

    private static let rate = KPIComparison(
        name: "rate_of_transaction",
        kept: "SELECT window_start, trades, trades_per_second::text FROM rate_of_transaction",
        plain: """
            SELECT \(window(of: "bucket")), count(*), (count(*) / bucket)::text
            FROM trade_data_finhub, (SELECT value AS bucket FROM threshold WHERE id = 3) AS t GROUP BY 1, bucket
            """)

    private static let symbolCount = KPIComparison(
        name: "symbol_count_per_30s",
        kept: "SELECT window_start, symbols, expected, missing, complete, symbols_seen FROM symbol_count_per_30s",
        plain: """
            SELECT start, n, wanted, CASE WHEN n < wanted THEN wanted - n ELSE 0 END, n >= wanted, names
            FROM (SELECT \(window(of: "width")) AS start, count(DISTINCT symbol) AS n,
                         array_to_string(array_agg(DISTINCT symbol ORDER BY symbol), ', ') AS names
                  FROM trade_data_finhub, (SELECT value AS width FROM threshold WHERE id = 2) AS t GROUP BY 1) AS windows,
                 (SELECT value AS wanted FROM threshold WHERE id = 1) AS t
            """)

    /// Counts and the mean are exact, quantiles within 0.8 %.
    private static let medianTime = KPIComparison(
        name: "median_process_time_table",
        kept: """
            SELECT window_start, trades, round(mean_process_time, 9), negative, true, true, true, true, true
            FROM median_process_time_table
            """,
        plain: """
            SELECT start, n, round(mean, 9), minutes.negative, \(isNear("median_process_time", "whole")),
                   \(isNear("p99_process_time", "whole_99")), \(isNear("median_feed_to_kafka", "feed")),
                   \(isNear("median_kafka_to_consumer", "kafka")), \(isNear("median_consumer_to_db", "consumer"))
            FROM (SELECT \(window("db", of: "60")) AS start, count(*) AS n,
                         avg(db - happened) FILTER (WHERE db >= happened) AS mean,
                         count(*) FILTER (WHERE db < happened) AS negative,
                         percentile_disc(0.5) WITHIN GROUP (ORDER BY db - happened) FILTER (WHERE db >= happened) AS whole,
                         percentile_disc(0.99) WITHIN GROUP (ORDER BY db - happened)
                             FILTER (WHERE db >= happened) AS whole_99,
                         percentile_disc(0.5) WITHIN GROUP (ORDER BY sent - happened) FILTER (WHERE sent >= happened) AS feed,
                         percentile_disc(0.5) WITHIN GROUP (ORDER BY taken - sent) FILTER (WHERE taken >= sent) AS kafka,
                         percentile_disc(0.5) WITHIN GROUP (ORDER BY db - taken) FILTER (WHERE db >= taken) AS consumer
                  FROM (SELECT extract(epoch FROM "timestamp") AS happened, extract(epoch FROM to_kafka) AS sent,
                               extract(epoch FROM to_consumer) AS taken, extract(epoch FROM to_db) AS db
                        FROM trade_data_finhub) AS moments
                  GROUP BY 1) AS minutes LEFT JOIN median_process_time_table ON window_start = start
            """)

    /// Neither has a value where all durations are below zero.
    private static func isNear(_ kept: String, _ exact: String) -> String {
        "coalesce(abs(\(kept) - \(exact)) <= \(exact) * 0.008, num_nulls(\(kept), \(exact)) = 2)"
    }

    private static let time = KPIComparison(
        name: "time",
        kept: """
            SELECT id, symbol, "timestamp", extract(epoch FROM feed_to_kafka), extract(epoch FROM kafka_to_consumer),
                   extract(epoch FROM consumer_to_db), extract(epoch FROM process_time)
            FROM "time"
            """,
        plain: """
            SELECT id, symbol, "timestamp", extract(epoch FROM to_kafka) - extract(epoch FROM "timestamp"),
                   extract(epoch FROM to_consumer) - extract(epoch FROM to_kafka),
                   extract(epoch FROM to_db) - extract(epoch FROM to_consumer),
                   extract(epoch FROM to_db) - extract(epoch FROM "timestamp")
            FROM trade_data_finhub
            """)

    private static let stockEvents = KPIComparison(
        name: "stockevents", kept: "SELECT symbol, price::text, volume::text, ts FROM stockevents",
        plain: "SELECT symbol, price::text, volume::text, \"timestamp\" FROM trade_data_finhub")

    private static func rollup(_ grain: String, seconds: Int) -> KPIComparison {
        KPIComparison(
            name: "trade_rollup_\(grain)",
            kept: """
                SELECT symbol, window_start, trades, volume::text, price_sum::text, notional::text,
                       open::text, open_time, open_id, high, low, close::text, close_time, close_id
                FROM trade_rollup_\(grain)
                """,
            plain: """
                SELECT symbol, \(window(of: "\(seconds)")), count(*), sum(volume)::text, sum(price)::text,
                       sum(price * volume)::text,
                       (array_agg(price ORDER BY "timestamp", id))[1]::text, min("timestamp"),
                       (array_agg(id ORDER BY "timestamp", id))[1], max(price), min(price),
                       (array_agg(price ORDER BY "timestamp" DESC, id DESC))[1]::text, max("timestamp"),
                       (array_agg(id ORDER BY "timestamp" DESC, id DESC))[1]
                FROM trade_data_finhub GROUP BY 1, 2
                """)
    }
}
