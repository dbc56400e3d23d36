import TradeModel

extension Check {
    /// received = acknowledged = consumed = written + rejected, as far as each count goes; and no trade twice.
    static func conservation(_ range: HourRange) -> [Check] {
        // First those that are done again where something is on its way.
        [received(range), acknowledged(range), consumed(range), written(range), twice(range)]
    }

    /// A number of a source is one trade.
    private static func twice(_ range: HourRange) -> Check {
        Check(
            "trade_data_finhub", key: "source, sequence",
            found: """
                SELECT source, sequence, count(*) AS rows FROM trade_data_finhub
                WHERE \(range.contains("\"timestamp\"")) GROUP BY 1, 2 HAVING count(*) > 1
                """,
            expected: "SELECT source, sequence, 1::bigint AS rows FROM found_row")
    }

    /// consumed = written + retried + rejected + resent: each batch has told all its records, and goes on where the one before ended, or
    /// behind what is told to be lost or skipped.
    private static func consumed(_ range: HourRange) -> Check {
        let batches = """
            SELECT batch.*, lag(next_offset) OVER (PARTITION BY log_id, kafka_partition ORDER BY first_offset, next_offset)
                AS end_before
            FROM ingest_batch AS batch WHERE \(range.contains("committed_at"))
            """
        return Check(
            "ingest_batch (consumed)", key: "log_id, kafka_partition, first_offset",
            found: """
                SELECT log_id, kafka_partition, first_offset, next_offset - first_offset AS records,
                    first_offset - coalesce(end_before, first_offset) AS left_out FROM (\(batches)) AS batch
                """,
            expected: """
                SELECT log_id, kafka_partition, first_offset, row_count::bigint + retried + rejected + resent AS records,
                    CASE WHEN EXISTS (SELECT FROM feed_event
                        WHERE id >> 40 = (batch.log_id::bigint << 11) | batch.kafka_partition
                            AND kind IN ('records_lost', 'records_skipped')
                            AND (details ->> 'next_offset')::bigint > end_before) THEN first_offset - end_before ELSE 0 END
                        AS left_out
                FROM (\(batches)) AS batch
                """)
    }

    /// What the batches of a minute say they have written stands in the table, since there are batches. What 'rejected retry' has stored in its place is
    /// in no batch; its row says so by two equal moments.
    private static func written(_ range: HourRange) -> Check {
        let minute = RollupSQL.window(.minute, of: "committed_at")
        return Check(
            "ingest_batch (written)", key: "log_id, kafka_partition, minute",
            found: """
                SELECT (id >> 51)::int AS log_id, kafka_partition, \(RollupSQL.window(.minute, of: "to_db")) AS minute,
                    count(*) AS trades FROM trade_data_finhub
                WHERE \(range.contains("to_db")) AND \(RollupSQL.isKept("to_db", in: "ingest_batch"))
                    AND to_db >= (SELECT min(committed_at) FROM ingest_batch) AND to_consumer <> to_db
                GROUP BY 1, 2, 3
                """,
            expected: """
                SELECT log_id, kafka_partition, \(minute) AS minute, sum(row_count + retried)::bigint AS trades
                FROM ingest_batch
                WHERE \(range.contains("committed_at")) AND \(RollupSQL.isKept("committed_at", in: "ingest_batch"))
                GROUP BY 1, 2, 3 HAVING sum(row_count + retried) > 0
                """,
            when: (noneIsForgotten, "retention has taken trades, which may have been stored at any time"))
    }

    /// What a producer had received of a symbol, by each of its events `counters`, is stored. Both are added up since the run of
    /// the producer began, or since the first event of the range: where an event's edge falls does not matter then.
    ///
    /// More may be stored than was counted: a producer that is killed takes its last counts along. What was dropped, rejected or
    /// is waiting has no symbol, so as many may be missing of any.
    private static func received(_ range: HourRange) -> Check {
        let missing = """
            WITH turn AS (
                SELECT source, sequence, at, kind, lag(kind) OVER (PARTITION BY source ORDER BY sequence) AS kind_before
                FROM feed_event WHERE kind IN ('connected', 'disconnected')
            ), run AS (
                SELECT source, sequence AS first, at AS began, lead(sequence) OVER (PARTITION BY source ORDER BY sequence) AS next
                FROM turn WHERE kind_before IS NULL OR kind = 'connected' AND kind_before = 'connected'
            ), told AS (
                SELECT event.source, event.sequence, event.at, event.enqueued, event.acknowledged, event.details,
                    run.first AS run,
                    CASE WHEN run.began >= \(range.from.sql) THEN run.began
                        ELSE min(event.at) OVER life - interval '1 second' END AS since,
                    run.began < \(range.from.sql) AND row_number() OVER life = 1 AS is_base
                FROM feed_event AS event JOIN run USING (source)
                WHERE event.kind = 'counters' AND event.sequence > run.first AND (run.next IS NULL OR event.sequence < run.next)
                    AND \(range.contains("event.at"))
                WINDOW life AS (PARTITION BY event.source, run.first ORDER BY event.sequence)
            ), spare AS (
                SELECT source, run, greatest(sum(enqueued) - sum(acknowledged), 0)
                    + (SELECT coalesce(sum(each.value::bigint), 0) FROM feed_event AS event
                        CROSS JOIN LATERAL jsonb_each_text(event.details) AS each
                        WHERE event.source = told.source AND event.kind = 'dropped' AND \(range.contains("event.at")))
                    + (SELECT count(*) FROM rejected_trade JOIN counted_position AS place ON place.origin = id >> 40
                        WHERE reason <> 'refused_by_database')
                    + (SELECT count(*) FROM trade_data_finhub WHERE source = 'retry') AS trades
                FROM told GROUP BY source, run
            ), moment AS (
                SELECT source, at AS moment, sequence, run, since, NULL AS symbol, 0 AS trades FROM told
                UNION ALL
                SELECT source, to_kafka, NULL, NULL, NULL, symbol, count(*) FROM stored_trade
                WHERE \(range.contains("to_kafka")) AND source IN (SELECT source FROM told) GROUP BY source, to_kafka, symbol
            ), placed AS (
                -- A trade belongs to the first event that is not before it.
                SELECT source, symbol, moment, trades, min(sequence) OVER later AS sequence
                FROM moment WINDOW later AS (
                    PARTITION BY source ORDER BY moment DESC, sequence NULLS LAST ROWS UNBOUNDED PRECEDING)
            ), stored AS (
                SELECT placed.source, placed.symbol, placed.sequence, told.run, sum(placed.trades) AS trades
                FROM placed JOIN told USING (source, sequence)
                WHERE placed.symbol IS NOT NULL AND placed.moment > told.since GROUP BY 1, 2, 3, 4
            ), counted AS (
                SELECT told.source, each.key AS symbol, told.sequence, told.run, each.value::bigint AS trades
                FROM told CROSS JOIN LATERAL jsonb_each_text(told.details) AS each
                WHERE NOT told.is_base AND each.key <> '(others)'
            ), sums AS (
                SELECT source, symbol, run, sequence, sum(coalesce(counted.trades, 0)) OVER until AS received,
                    sum(coalesce(stored.trades, 0)) OVER until AS stored
                FROM counted FULL JOIN stored USING (source, symbol, run, sequence)
                WINDOW until AS (PARTITION BY source, run, symbol ORDER BY sequence)
            ), lack AS (
                SELECT sums.*, spare.trades AS spare, received - stored AS missing,
                    coalesce(max(received - stored) OVER (PARTITION BY source, run, symbol ORDER BY sequence
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS missing_before
                FROM sums JOIN spare USING (source, run)
            )
            SELECT source, symbol, at, received::bigint, stored::bigint
            FROM lack JOIN told USING (source, run, sequence) WHERE missing > greatest(spare, missing_before)
            """
        return Check(
            "feed_event (received)", key: "source, symbol, at", found: missing,
            expected: "SELECT source, symbol, at, received, received AS stored FROM found_row",
            maySettle: true,
            when: (noneIsForgotten, "retention has taken trades, which may have been received at any time"))
    }

    /// What Kafka has acknowledged, which has no symbol, is stored: a source's sum over all of the time.
    private static func acknowledged(_ range: HourRange) -> Check {
        let missing = """
            SELECT source, acknowledged, stored FROM (
                SELECT source, sum(acknowledged)::bigint AS acknowledged FROM feed_event
                WHERE kind = 'counters' GROUP BY 1) AS told
            CROSS JOIN LATERAL (SELECT count(*) AS stored FROM stored_trade WHERE stored_trade.source = told.source) AS stored
            WHERE acknowledged > stored + (SELECT count(*) FROM rejected_trade) + (
                SELECT count(*) FROM trade_data_finhub WHERE source = 'retry')
            """
        return Check(
            "feed_event (acknowledged)", key: "source", found: missing,
            expected: "SELECT source, acknowledged, acknowledged AS stored FROM found_row", maySettle: true,
            when: (noneIsForgotten, "retention has taken trades"))
    }

    private static let noneIsForgotten =
        "NOT EXISTS (SELECT FROM forgotten_day WHERE daily_table = 'trade_data_finhub')"
}
