-- Rollups that say how they were made, and that can be made anew from the trades and held against them.

-- A column that is added with a constant rewrites nothing.
ALTER TABLE trade_rollup_1s ADD COLUMN repeats text NOT NULL DEFAULT 'count'
    CHECK (repeats IN ('count', 'ignore', 'mixed'));
ALTER TABLE trade_rollup_1m ADD COLUMN repeats text NOT NULL DEFAULT 'count'
    CHECK (repeats IN ('count', 'ignore', 'mixed'));
ALTER TABLE trade_rollup_1h ADD COLUMN repeats text NOT NULL DEFAULT 'count'
    CHECK (repeats IN ('count', 'ignore', 'mixed'));

COMMENT ON COLUMN trade_rollup_1s.repeats IS 'Whether trades with a repeat above 0 count here; mixed: some do, some do not';
COMMENT ON COLUMN trade_rollup_1m.repeats IS 'Whether trades with a repeat above 0 count here; mixed: some do, some do not';
COMMENT ON COLUMN trade_rollup_1h.repeats IS 'Whether trades with a repeat above 0 count here; mixed: some do, some do not';

-- Days of which rows were deleted, all or some: what was made of them can be neither made anew nor held against them.
CREATE TABLE forgotten_day (
    daily_table text NOT NULL,
    day         date NOT NULL,
    PRIMARY KEY (daily_table, day)
);
COMMENT ON TABLE forgotten_day IS 'Days in UTC of which a table has lost rows to retention';

-- As before, and the day is written down.
CREATE OR REPLACE FUNCTION tickstream_drop_day(daily_table text, day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' AS $$
DECLARE
    dropped text := daily_table || to_char(day, '_YYYYMMDD');
BEGIN
    PERFORM tickstream_day_column(daily_table);
    IF NOT tickstream_maintain() THEN
        RAISE 'another session maintains the partitions' USING ERRCODE = 'lock_not_available';
    END IF;
    IF to_regclass(quote_ident(dropped)) IS NULL THEN RETURN false; END IF;
    -- DETACH … CONCURRENTLY is not to be had where there is a default partition. The files are removed after the locks.
    PERFORM tickstream_lock(daily_table, dropped, daily_table || '_default');
    EXECUTE format('DROP TABLE %I', dropped);
    INSERT INTO forgotten_day VALUES (daily_table, day) ON CONFLICT DO NOTHING;
    RETURN true;
END $$;

-- As before, and the days are written down.
CREATE OR REPLACE FUNCTION tickstream_trim_default(daily_table text, before date, at_most int) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' AS $$
DECLARE
    deleted bigint;
BEGIN
    EXECUTE format('WITH deleted AS (
                        DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$I WHERE %2$I < %3$L LIMIT %4$s))
                        RETURNING %2$I::date AS day
                    ), forgotten AS (
                        INSERT INTO forgotten_day SELECT DISTINCT %5$L, day FROM deleted ON CONFLICT DO NOTHING
                    )
                    SELECT count(*) FROM deleted',
                   daily_table || '_default', tickstream_day_column(daily_table), before::timestamptz, at_most, daily_table)
        INTO deleted;
    RETURN deleted;
END $$;

-- What runs as the owner finds names in this schema only; a function that is replaced forgets it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION tickstream_drop_day SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION tickstream_trim_default SET search_path = %I, pg_temp', current_schema());
END $$;

-- A record's fields, without U+0000, which no text holds; NULL where it is no JSON object.
CREATE FUNCTION record_json(payload bytea) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN replace(convert_from(payload, 'UTF8'), '\u0000', '')::jsonb;
EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR program_limit_exceeded THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION record_json IS 'A record of a topic as JSON; NULL where it is none';

-- The trades that are stored: raw rows, and those that only the database has refused. The KPI service, which stores no rows,
-- counts these too, and they get their row as soon as it is accepted, under the id that they have. Of their time, whole seconds
-- and the rest stand apart, since intervals are multiplied in binary floating point.
CREATE VIEW stored_trade AS
SELECT id, symbol, price, "timestamp", volume, to_kafka, source, sequence, repeat FROM trade_data_finhub
UNION ALL
SELECT id, trade ->> 's' COLLATE "C", (trade ->> 'p')::numeric,
       'epoch'::timestamptz + trunc((trade ->> 't')::numeric / 1000)::bigint * interval '1 second'
           + ((trade ->> 't')::numeric % 1000)::int * interval '1 millisecond', (trade ->> 'v')::numeric,
       (trade ->> 'to_kafka')::timestamptz, trade ->> 'src', (trade ->> 'seq')::numeric::bigint,
       coalesce((trade ->> 'repeat')::numeric::int, 0)
FROM (SELECT id, CASE WHEN reason = 'refused_by_database' THEN record_json(payload) END AS trade
      FROM rejected_trade OFFSET 0) AS refused
WHERE trade ->> 't' IS NOT NULL;
COMMENT ON VIEW stored_trade IS 'Raw trades, and those that only the database has refused';

-- How far the KPI service has counted each partition of each log. Within a log, offsets tell. Where readers were moved back, the
-- same trade may stand under an id of another generation, and the marks tell, which go along (is_moved).
CREATE VIEW counted_position AS
SELECT log.cluster_id, log.topic, mine.partition, log.log_id, mine.log_id AS mark_log_id,
       (log.log_id::bigint << 11) | mine.partition                    AS origin,
       (((log.log_id::bigint << 11) | mine.partition) << 40) + coalesce(counted.next_offset, 0) AS end_id,
       EXISTS (SELECT FROM topic_log AS other
               WHERE other.cluster_id = log.cluster_id AND other.topic = log.topic AND other.log_id <> log.log_id) AS is_moved
FROM (SELECT DISTINCT ON (cluster_id, topic, partition) cluster_id, topic, partition, log_id
      FROM offset_ledger JOIN topic_log USING (log_id) WHERE reader = 'kpi-service'
      ORDER BY cluster_id, topic, partition, generation DESC) AS mine
JOIN topic_log AS log USING (cluster_id, topic)
LEFT JOIN offset_ledger AS counted ON counted.reader = 'kpi-service' AND counted.log_id = log.log_id
    AND counted.partition = mine.partition;
COMMENT ON VIEW counted_position IS 'How far kpi-service has counted each partition of each log';

-- The trades that the rollups are made of: all that is stored and that the KPI service has read.
CREATE VIEW counted_trade AS
SELECT trade.*
FROM stored_trade AS trade JOIN counted_position AS place ON place.origin = trade.id >> 40
WHERE trade.id < place.end_id
    OR place.is_moved AND EXISTS (
        SELECT FROM source_position AS mark
        WHERE mark.reader = 'kpi-service' AND mark.log_id = place.mark_log_id AND mark.partition = place.partition
            AND mark.source = trade.source AND mark.sequence >= trade.sequence);
COMMENT ON VIEW counted_trade IS 'The trades that the rollups are made of: stored, and read by kpi-service';

-- Where the KPI service is ahead of the consumer: it has counted what is not stored yet. Empty, mostly.
CREATE VIEW counted_ahead AS
WITH latest AS (
    SELECT DISTINCT ON (reader, cluster_id, topic, partition)
           reader, cluster_id, topic, generation, log_id, partition, next_offset
    FROM offset_ledger JOIN topic_log USING (log_id)
    ORDER BY reader, cluster_id, topic, partition, generation DESC
), counted AS (
    SELECT * FROM latest WHERE reader = 'kpi-service'
)
SELECT counted.topic, counted.partition, counted.generation, NULL AS source, counted.next_offset AS counted,
       stored.next_offset AS stored
FROM counted LEFT JOIN offset_ledger AS stored
    ON stored.reader = 'consumer' AND stored.log_id = counted.log_id AND stored.partition = counted.partition
WHERE coalesce(stored.next_offset, 0) < counted.next_offset
UNION ALL
SELECT counted.topic, counted.partition, counted.generation, mark.source, mark.sequence, stored.sequence
FROM counted
JOIN source_position AS mark
    ON mark.reader = 'kpi-service' AND mark.log_id = counted.log_id AND mark.partition = counted.partition
LEFT JOIN latest AS consumer
    ON consumer.reader = 'consumer' AND consumer.cluster_id = counted.cluster_id AND consumer.topic = counted.topic
    AND consumer.partition = counted.partition
LEFT JOIN source_position AS stored
    ON stored.reader = 'consumer' AND stored.log_id = consumer.log_id AND stored.partition = counted.partition
    AND stored.source = mark.source
WHERE counted.generation > 1 AND coalesce(stored.sequence, -1) < mark.sequence;
COMMENT ON VIEW counted_ahead IS 'Where kpi-service has counted what consumer has not stored yet: offsets, or a source''s numbers';

-- The KPI service makes its rollups anew, and holds all that there is against the trades. It sees the consumer's positions
-- through these views only.
GRANT SELECT ON stored_trade, counted_position, counted_trade, counted_ahead, forgotten_day, average_volume_per_symbol,
    rate_of_transaction, symbol_count_per_30s TO tickstream_kpi;
GRANT SELECT (at, source, sequence, kind, received, rejected, enqueued, acknowledged, details) ON feed_event
    TO tickstream_kpi;
GRANT SELECT (id, topic, kafka_partition, kafka_offset, reason, rejected_at) ON rejected_trade TO tickstream_kpi;
GRANT SELECT ON candle_1s, candle_1m, candle_1h TO tickstream_kpi;
-- It deletes rollups whose time is over, and says of which days.
GRANT INSERT ON forgotten_day TO tickstream_kpi;
GRANT SELECT ON forgotten_day, counted_position, counted_ahead TO tickstream_read;
