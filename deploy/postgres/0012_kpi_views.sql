-- The KPI tables at a cost that does not grow with the trades: none of them reads trade_data_finhub. How long trades took
-- is rolled up from ingest_batch; windows of seconds are found by index, and so are those of a stretch of time.

-- How long trades took on each part of their way, by when they were stored: rollups of what ingest_batch tells, kept by
-- kpi-service. All is merged by addition, so that neither order nor grouping of the batches makes a difference.
CREATE TABLE latency_rollup (
    grain        text NOT NULL,
    window_start timestamptz NOT NULL,
    hop          text NOT NULL,
    trades       bigint NOT NULL,
    negative     bigint NOT NULL,
    sum          numeric NOT NULL,
    min          bigint,
    max          bigint,
    buckets      smallint[] NOT NULL,
    counts       bigint[] NOT NULL,
    PRIMARY KEY (window_start, hop, grain)
) PARTITION BY LIST (grain);
CREATE TABLE latency_rollup_1m PARTITION OF latency_rollup FOR VALUES IN ('1m') WITH (fillfactor = 50);
CREATE TABLE latency_rollup_1h PARTITION OF latency_rollup FOR VALUES IN ('1h') WITH (fillfactor = 50);

-- Up to where the batches of each partition of each log are in latency_rollup: changed in the transaction that merges them.
CREATE TABLE latency_position (
    log_id      int NOT NULL,
    partition   int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (log_id, partition)
) WITH (fillfactor = 50);

COMMENT ON TABLE latency_rollup IS 'How long trades took, a window of their storing and part of the way; merged from ingest_batch';
COMMENT ON TABLE latency_rollup_1m IS 'How long trades took, a minute and part of the way';
COMMENT ON TABLE latency_rollup_1h IS 'How long trades took, an hour and part of the way';
COMMENT ON COLUMN latency_rollup.trades IS 'Durations of zero or more: those that all other figures are of';
COMMENT ON COLUMN latency_rollup.negative IS 'Durations below zero, as clocks that differ give; they are in no other figure';
COMMENT ON COLUMN latency_rollup.sum IS 'In microseconds, as min and max';
COMMENT ON COLUMN latency_rollup.buckets IS 'Those of the histogram that are not empty, as in ingest_batch';
COMMENT ON TABLE latency_position IS 'Up to which offset batches are merged into latency_rollup';

-- Whoever has this, to the end of the transaction, is the one of all instances that keeps latency_rollup and deletes what is
-- past its time. Whoever is second is not to wait.
CREATE FUNCTION kpi_upkeep() RETURNS boolean
    LANGUAGE sql
    AS 'SELECT pg_try_advisory_xact_lock(hashtextextended(''tickstream.kpi_upkeep'', 0))';

-- Merges the next batches into latency_rollup, so many at most, and answers how many there were.
--
-- The consumer's transactions of one partition commit in the order of their offsets, for each ends with a compare-and-set
-- of the position at which the last one ended. So batches of a partition come to sight in that order too, and what is at or
-- behind a position is all that has not been merged. A reader that was moved forward leaves a hole; one that was moved
-- back goes on under another log_id.
CREATE FUNCTION fold_ingest_batches(at_most int) RETURNS bigint
    LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    folded bigint;
BEGIN
    -- A statement of its own: the next one must see what the last one to have the lock has committed.
    IF NOT kpi_upkeep() THEN RETURN 0; END IF;
    WITH RECURSIVE part AS (
        -- Each partition that has batches, one probe of the index for each.
        (SELECT log_id, kafka_partition FROM ingest_batch ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT next.* FROM part CROSS JOIN LATERAL (
            SELECT log_id, kafka_partition FROM ingest_batch AS batch
            WHERE (batch.log_id, batch.kafka_partition) > (part.log_id, part.kafka_partition) ORDER BY 1, 2 LIMIT 1
        ) AS next
    ), batch AS MATERIALIZED (
        SELECT next.*
        FROM part LEFT JOIN latency_position AS position
            ON position.log_id = part.log_id AND position.partition = part.kafka_partition
        CROSS JOIN LATERAL (
            SELECT * FROM ingest_batch AS batch
            WHERE batch.log_id = part.log_id AND batch.kafka_partition = part.kafka_partition
                AND batch.first_offset >= coalesce(position.next_offset, 0)
            ORDER BY batch.log_id, batch.kafka_partition, batch.first_offset LIMIT at_most
        ) AS next
        ORDER BY next.log_id, next.kafka_partition, next.first_offset LIMIT at_most
    ), moved AS (
        INSERT INTO latency_position AS position (log_id, partition, next_offset)
        SELECT log_id, kafka_partition, max(next_offset) FROM batch GROUP BY 1, 2
        ON CONFLICT (log_id, partition) DO UPDATE SET next_offset = excluded.next_offset
    ), hop AS MATERIALIZED (
        SELECT grain, date_bin(length, committed_at, 'epoch') AS window_start, hop.*
        FROM batch
        CROSS JOIN (VALUES ('1m', interval '1 minute'), ('1h', interval '1 hour')) AS grain (grain, length)
        CROSS JOIN LATERAL (VALUES
            ('feed_to_kafka', row_count - feed_to_kafka_negative, feed_to_kafka_negative, feed_to_kafka_sum,
                feed_to_kafka_min, feed_to_kafka_max, feed_to_kafka_buckets, feed_to_kafka_counts),
            ('kafka_to_consumer', row_count - kafka_to_consumer_negative, kafka_to_consumer_negative,
                kafka_to_consumer_sum, kafka_to_consumer_min, kafka_to_consumer_max, kafka_to_consumer_buckets,
                kafka_to_consumer_counts),
            ('consumer_to_db', row_count - consumer_to_db_negative, consumer_to_db_negative, consumer_to_db_sum,
                consumer_to_db_min, consumer_to_db_max, consumer_to_db_buckets, consumer_to_db_counts),
            ('feed_to_db', row_count - feed_to_db_negative, feed_to_db_negative, feed_to_db_sum,
                feed_to_db_min, feed_to_db_max, feed_to_db_buckets, feed_to_db_counts)
        ) AS hop (hop, trades, negative, sum, min, max, buckets, counts)
        -- Records that were rejected or skipped took no time.
        WHERE row_count > 0
    ), histogram AS (
        SELECT grain, window_start, hop, array_agg(bucket ORDER BY bucket) AS buckets,
               array_agg(count ORDER BY bucket) AS counts
        FROM (
            SELECT grain, window_start, hop, bucket, sum(count)::bigint AS count
            FROM hop CROSS JOIN LATERAL unnest(buckets, counts) AS each (bucket, count) GROUP BY 1, 2, 3, 4
        ) AS each GROUP BY 1, 2, 3
    ), merged AS (
        INSERT INTO latency_rollup AS kept
        SELECT grain, window_start, hop, figures.trades, figures.negative, figures.sum, figures.min, figures.max,
               coalesce(buckets, '{}'), coalesce(counts, '{}')
        FROM (
            SELECT grain, window_start, hop, sum(trades) AS trades, sum(negative) AS negative, sum(sum) AS sum,
                   min(min) AS min, max(max) AS max
            FROM hop GROUP BY 1, 2, 3
        ) AS figures LEFT JOIN histogram USING (grain, window_start, hop)
        ON CONFLICT (window_start, hop, grain) DO UPDATE SET
            trades = kept.trades + excluded.trades,
            negative = kept.negative + excluded.negative,
            sum = kept.sum + excluded.sum,
            min = least(kept.min, excluded.min),
            max = greatest(kept.max, excluded.max),
            (buckets, counts) = (
                SELECT coalesce(array_agg(bucket ORDER BY bucket), '{}'), coalesce(array_agg(count ORDER BY bucket), '{}')
                FROM (
                    SELECT bucket, sum(count)::bigint AS count
                    FROM (SELECT * FROM unnest(kept.buckets, kept.counts)
                          UNION ALL SELECT * FROM unnest(excluded.buckets, excluded.counts)) AS both_of_them (bucket, count)
                    GROUP BY 1
                ) AS each)
    )
    SELECT count(*) INTO folded FROM batch;
    RETURN folded;
END $$;

-- Quantiles of a histogram of so many trades, in seconds, within 0.8 %: between the least and the greatest duration, which
-- are exact.
CREATE FUNCTION latency_quantiles(trades bigint, buckets smallint[], counts bigint[], minimum bigint, maximum bigint)
    RETURNS TABLE (p50 numeric, p95 numeric, p99 numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT least(greatest(latency_bucket(min(bucket) FILTER (WHERE passed >= $1 * 0.50)), $4), $5) / 1e6,
       least(greatest(latency_bucket(min(bucket) FILTER (WHERE passed >= $1 * 0.95)), $4), $5) / 1e6,
       least(greatest(latency_bucket(min(bucket) FILTER (WHERE passed >= $1 * 0.99)), $4), $5) / 1e6
FROM (
    SELECT bucket, sum(count) OVER (ORDER BY bucket ROWS UNBOUNDED PRECEDING) AS passed
    FROM unnest($2, $3) AS each (bucket, count)
) AS ranked
$$;

CREATE VIEW latency_1m AS
SELECT window_start, hop, trades, negative, sum / 1e6 / nullif(trades, 0) AS mean, min / 1e6 AS minimum,
       p50, p95, p99, max / 1e6 AS maximum
FROM latency_rollup_1m CROSS JOIN LATERAL latency_quantiles(trades, buckets, counts, min, max);

CREATE VIEW latency_1h AS
SELECT window_start, hop, trades, negative, sum / 1e6 / nullif(trades, 0) AS mean, min / 1e6 AS minimum,
       p50, p95, p99, max / 1e6 AS maximum
FROM latency_rollup_1h CROSS JOIN LATERAL latency_quantiles(trades, buckets, counts, min, max);

-- KPI 8 a minute of storing, in seconds.
CREATE OR REPLACE VIEW median_process_time_table AS
SELECT window_start, figures.*
FROM latency_rollup_1m AS whole CROSS JOIN LATERAL (
    SELECT max(trades + negative) FILTER (WHERE hop = 'feed_to_db') AS trades,
           max(mean) FILTER (WHERE hop = 'feed_to_db') AS mean_process_time,
           max(p50) FILTER (WHERE hop = 'feed_to_db') AS median_process_time,
           max(p50) FILTER (WHERE hop = 'feed_to_kafka') AS median_feed_to_kafka,
           max(p50) FILTER (WHERE hop = 'kafka_to_consumer') AS median_kafka_to_consumer,
           max(p50) FILTER (WHERE hop = 'consumer_to_db') AS median_consumer_to_db,
           max(p95) FILTER (WHERE hop = 'feed_to_db') AS p95_process_time,
           max(p99) FILTER (WHERE hop = 'feed_to_db') AS p99_process_time,
           max(p95) FILTER (WHERE hop = 'feed_to_kafka') AS p95_feed_to_kafka,
           max(p99) FILTER (WHERE hop = 'feed_to_kafka') AS p99_feed_to_kafka,
           max(p95) FILTER (WHERE hop = 'kafka_to_consumer') AS p95_kafka_to_consumer,
           max(p99) FILTER (WHERE hop = 'kafka_to_consumer') AS p99_kafka_to_consumer,
           max(p95) FILTER (WHERE hop = 'consumer_to_db') AS p95_consumer_to_db,
           max(p99) FILTER (WHERE hop = 'consumer_to_db') AS p99_consumer_to_db,
           max(negative) FILTER (WHERE hop = 'feed_to_db') AS negative,
           bool_or(negative > 0) AS clock_skew
    FROM latency_1m AS part WHERE part.window_start = whole.window_start
) AS figures
WHERE hop = 'feed_to_db';

-- The same figures of the raw rows themselves, exact: for the trades that were stored in a stretch of time, all of which it
-- reads and sorts. Durations below zero are counted, and are in no other figure, as everywhere.
CREATE FUNCTION exact_process_time(since timestamptz, until timestamptz)
    RETURNS TABLE (hop text, trades bigint, negative bigint, mean numeric, minimum numeric, median numeric, p95 numeric,
        p99 numeric, maximum numeric)
    LANGUAGE sql STABLE AS $$
SELECT part.hop, count(*) FILTER (WHERE took >= 0), count(*) FILTER (WHERE took < 0), avg(took) FILTER (WHERE took >= 0),
       min(took) FILTER (WHERE took >= 0), percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0),
       percentile_disc(0.99) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0), max(took) FILTER (WHERE took >= 0)
FROM trade_data_finhub CROSS JOIN LATERAL (VALUES
    ('feed_to_kafka', extract(epoch FROM to_kafka - "timestamp")),
    ('kafka_to_consumer', extract(epoch FROM to_consumer - to_kafka)),
    ('consumer_to_db', extract(epoch FROM to_db - to_consumer)),
    ('feed_to_db', extract(epoch FROM to_db - "timestamp"))) AS part (hop, took)
WHERE to_db >= since AND to_db < until
GROUP BY part.hop ORDER BY part.hop
$$;

-- The windows of a threshold that may have trades, the newest first. Where windows are seconds, they are those of the index on
-- window_start, read from the end that is asked for; else they are counted out in stretches of an hour or more in which there
-- are trades, each found by one probe of the index. No stretch without trades is gone through, however odd times are.
--
-- It is made part of the query that calls it, so that a condition on window_start and its order count here.
CREATE FUNCTION trade_windows(threshold_id int) RETURNS TABLE (window_start timestamptz)
    LANGUAGE sql STABLE AS $$
WITH RECURSIVE stretch (first, length) AS (
    SELECT date_bin(length, (SELECT min(window_start) FROM trade_rollup_1s), 'epoch'), length
    FROM (SELECT make_interval(secs => (ceil(3600 / value) * value)::int) AS length
          FROM threshold WHERE id = threshold_id AND value > 1) AS whole_windows
    UNION ALL
    SELECT date_bin(length, (SELECT min(window_start) FROM trade_rollup_1s WHERE window_start >= first + length), 'epoch'),
           length
    FROM stretch WHERE first IS NOT NULL
)
SELECT window_start FROM (
    (SELECT DISTINCT ON (window_start) window_start FROM trade_rollup_1s
     WHERE (SELECT value = 1 FROM threshold WHERE id = threshold_id)
     ORDER BY window_start DESC)
    UNION ALL
    SELECT generate_series FROM stretch CROSS JOIN LATERAL
        generate_series(first, first + length - threshold_window(threshold_id), threshold_window(threshold_id))
) AS windows
ORDER BY window_start DESC
$$;

-- What the trades of a window come to; no row where there are none. Functions of their own rather than parts of the views, so
-- that the planner knows them for the few rows that they read.
CREATE FUNCTION trades_between(since timestamptz, until timestamptz) RETURNS TABLE (trades numeric)
    LANGUAGE sql STABLE ROWS 1 SET jit = off AS $$
SELECT sum(trades) FROM trade_rollup_1s WHERE window_start >= since AND window_start < until HAVING count(*) > 0
$$;
CREATE FUNCTION symbols_between(since timestamptz, until timestamptz) RETURNS TABLE (symbols text[])
    LANGUAGE sql STABLE ROWS 1 SET jit = off AS $$
SELECT array_agg(symbol ORDER BY symbol COLLATE "C")
FROM (SELECT DISTINCT symbol FROM trade_rollup_1s WHERE window_start >= since AND window_start < until) AS seen
HAVING count(*) > 0
$$;

-- Each symbol that there is a trade of, one probe of the index for each.
CREATE VIEW traded_symbol AS
WITH RECURSIVE each (symbol) AS (
    SELECT min(symbol) FROM trade_rollup_1h
    UNION ALL
    SELECT (SELECT min(symbol) FROM trade_rollup_1h WHERE symbol > each.symbol) FROM each WHERE symbol IS NOT NULL
)
SELECT symbol FROM each WHERE symbol IS NOT NULL;

-- Of these symbols, those that did not trade in a window although they did within a day of it.
CREATE FUNCTION symbols_missing(traded text[], seen text[], window_start timestamptz) RETURNS text
    LANGUAGE sql STABLE SET jit = off AS $$
SELECT string_agg(symbol, ', ' ORDER BY symbol COLLATE "C") FROM unnest(traded) AS each (symbol)
WHERE symbol <> ALL (seen) AND EXISTS (
    SELECT FROM trade_rollup_1h AS hour
    WHERE hour.symbol = each.symbol AND hour.window_start > $3 - interval '1 day' AND hour.window_start < $3 + interval '1 day')
$$;

-- As before, from the beginnings and ends of connections alone, which the index below finds: not from all events.
CREATE INDEX feed_event_turn ON feed_event (source, sequence) WHERE kind IN ('connected', 'disconnected');
CREATE OR REPLACE VIEW feed_gap AS
WITH turn AS (
    SELECT source, sequence, kind, at, cause, gap_from,
           lag(kind) OVER (PARTITION BY source ORDER BY sequence) AS kind_before
    FROM feed_event WHERE kind IN ('connected', 'disconnected')
), edge AS (
    SELECT *, lead(at) OVER (PARTITION BY source ORDER BY sequence) AS next_at
    FROM turn
    -- Attempts in vain lengthen the gap that is there.
    WHERE kind = 'connected' OR kind_before IS DISTINCT FROM 'disconnected'
)
SELECT source, coalesce(gap_from, at) AS gap_from, next_at AS gap_to, cause
FROM edge WHERE kind = 'disconnected'
UNION ALL
SELECT source,
       coalesce(gap_from, (
           SELECT before.at FROM feed_event AS before
           WHERE before.source = edge.source AND before.sequence < edge.sequence ORDER BY before.sequence DESC LIMIT 1)),
       at, 'the producer ended without a word'
FROM edge WHERE kind = 'connected' AND kind_before = 'connected';

-- All gaps of all feeds in one value. One that lasts ends a day after the last word of its source, which is taken to be gone
-- for good; should it come back, the gap has its end.
CREATE VIEW feed_gaps AS
SELECT coalesce(range_agg(tstzrange(gap_from, greatest(gap_from, gap_to))), '{}') AS ranges
FROM (
    SELECT gap_from, coalesce(gap_to, (
        SELECT at + interval '1 day' FROM feed_event
        WHERE feed_event.source = feed_gap.source ORDER BY sequence DESC LIMIT 1)) AS gap_to
    FROM feed_gap WHERE gap_from IS NOT NULL
) AS gap;

-- KPI 2: trades a second, in buckets of threshold 3.
CREATE OR REPLACE VIEW rate_of_transaction AS
SELECT windows.window_start,
       trades::bigint AS trades,
       trades / (SELECT value FROM threshold WHERE id = 3) AS trades_per_second,
       (SELECT ranges FROM feed_gaps)
           && tstzrange(windows.window_start, windows.window_start + (SELECT threshold_window(3))) AS incomplete
FROM trade_windows(3) AS windows
CROSS JOIN LATERAL trades_between(window_start, window_start + (SELECT threshold_window(3)));

-- KPI 5: unique symbols in windows of threshold 2, against threshold 1.
CREATE OR REPLACE VIEW symbol_count_per_30s AS
SELECT windows.window_start,
       cardinality(symbols)::bigint                         AS symbols,
       expected,
       greatest(expected - cardinality(symbols), 0)         AS missing,
       cardinality(symbols) >= expected                     AS complete,
       array_to_string(symbols, ', ')                       AS symbols_seen,
       symbols_missing((SELECT array_agg(symbol) FROM traded_symbol), symbols, window_start) AS symbols_missing,
       (SELECT ranges FROM feed_gaps)
           && tstzrange(windows.window_start, windows.window_start + (SELECT threshold_window(2))) AS incomplete
FROM trade_windows(2) AS windows
CROSS JOIN LATERAL symbols_between(window_start, window_start + (SELECT threshold_window(2)))
CROSS JOIN LATERAL (SELECT (SELECT value FROM threshold WHERE id = 1) AS expected) AS threshold;

-- KPIs 6 and 7, and candles: what each symbol did in a window.
CREATE INDEX trade_rollup_1h_window_start ON trade_rollup_1h (window_start);
DO $$
DECLARE
    grain  text;
    length text;
BEGIN
    FOR grain, length IN VALUES ('1s', '1 second'), ('1m', '1 minute'), ('1h', '1 hour') LOOP
        EXECUTE format($view$
            CREATE VIEW candle_%s AS
            SELECT symbol, window_start, open, high, low, close, volume, trades,
                   notional / nullif(volume, 0) AS vwap,
                   price_sum / trades           AS average_price,
                   (high - low) / low * 100     AS spread_percent,
                   (SELECT ranges FROM feed_gaps) && tstzrange(window_start, window_start + interval %L) AS incomplete
            FROM trade_rollup_%s$view$, grain, length, grain);
    END LOOP;
END $$;

-- How long ago each symbol traded last.
CREATE VIEW symbol_staleness AS
SELECT symbol, close_time AS last_trade, now() - close_time AS age, close AS last_price
FROM traded_symbol CROSS JOIN LATERAL (
    SELECT close_time, close FROM trade_rollup_1h AS hour
    -- A trade of an odd time to come tells nothing of now.
    WHERE hour.symbol = traded_symbol.symbol AND window_start <= now() ORDER BY window_start DESC LIMIT 1
) AS last;

COMMENT ON FUNCTION kpi_upkeep IS 'Whether this transaction is the one that keeps latency_rollup and deletes rollups now';
COMMENT ON FUNCTION fold_ingest_batches IS 'Merges the next batches of ingest_batch into latency_rollup, each exactly once';
COMMENT ON FUNCTION latency_quantiles IS 'Quantiles of a histogram in seconds, within 0.8 %';
COMMENT ON FUNCTION exact_process_time IS 'KPI 8 of the raw rows stored in a stretch of time: reads and sorts all of them';
COMMENT ON FUNCTION trade_windows IS 'The windows of threshold 2 or 3 that may have trades, the newest first';
COMMENT ON FUNCTION trades_between IS 'How many trades there were in a stretch of whole seconds';
COMMENT ON FUNCTION symbols_between IS 'Which symbols traded in a stretch of whole seconds';
COMMENT ON FUNCTION symbols_missing IS 'Which symbols did not trade in a window although they did within a day of it';
COMMENT ON VIEW latency_1m IS 'Mean and quantiles of each part of the trades'' way, a minute of storing, in seconds';
COMMENT ON VIEW latency_1h IS 'Mean and quantiles of each part of the trades'' way, an hour of storing, in seconds';
COMMENT ON VIEW median_process_time_table IS 'KPI 8: mean, median and other quantiles a minute of storing, in seconds';
COMMENT ON VIEW traded_symbol IS 'Each symbol of which there is a trade in trade_rollup_1h';
COMMENT ON VIEW feed_gaps IS 'All times in which a feed was away, as one value';
COMMENT ON VIEW candle_1s IS 'KPIs 6 and 7: prices and volume of each symbol and second';
COMMENT ON VIEW candle_1m IS 'KPIs 6 and 7: prices and volume of each symbol and minute';
COMMENT ON VIEW candle_1h IS 'KPIs 6 and 7: prices and volume of each symbol and hour';
COMMENT ON VIEW symbol_staleness IS 'When each symbol traded last, and how long ago';

GRANT SELECT, INSERT, UPDATE, DELETE ON latency_rollup, latency_rollup_1m, latency_rollup_1h TO tickstream_kpi;
GRANT SELECT, INSERT, UPDATE ON latency_position TO tickstream_kpi;
GRANT SELECT ON
    latency_rollup, latency_rollup_1m, latency_rollup_1h, latency_position, latency_1m, latency_1h, traded_symbol, feed_gaps,
    candle_1s, candle_1m, candle_1h, symbol_staleness
    TO tickstream_read;
