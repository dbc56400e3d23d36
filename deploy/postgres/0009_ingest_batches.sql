-- What each transaction of the consumer brought, and how long its trades took on each part of their way: one row a
-- transaction and partition, written with the trades themselves. Percentiles of any stretch of time come from here, without
-- a look at the trades.
--
-- A part of the way has, in microseconds, the sum, the least and the greatest duration, and a histogram of what was stored:
-- which buckets are not empty, and how many trades fell into each. Durations below zero, as clocks that differ give, are
-- counted apart and are in nothing else, so the trades in a histogram are row_count minus the negative ones.

CREATE TABLE ingest_batch (
    first_offset               bigint NOT NULL,
    next_offset                bigint NOT NULL,
    committed_at               timestamptz NOT NULL,
    feed_to_kafka_sum          bigint NOT NULL,
    feed_to_kafka_min          bigint,
    feed_to_kafka_max          bigint,
    kafka_to_consumer_sum      bigint NOT NULL,
    kafka_to_consumer_min      bigint,
    kafka_to_consumer_max      bigint,
    consumer_to_db_sum         bigint NOT NULL,
    consumer_to_db_min         bigint,
    consumer_to_db_max         bigint,
    feed_to_db_sum             bigint NOT NULL,
    feed_to_db_min             bigint,
    feed_to_db_max             bigint,
    log_id                     int NOT NULL,
    kafka_partition            int NOT NULL,
    row_count                  int NOT NULL,
    rejected                   int NOT NULL,
    resent                     int NOT NULL,
    feed_to_kafka_negative     int NOT NULL,
    kafka_to_consumer_negative int NOT NULL,
    consumer_to_db_negative    int NOT NULL,
    feed_to_db_negative        int NOT NULL,
    feed_to_kafka_buckets      smallint[] NOT NULL,
    feed_to_kafka_counts       int[] NOT NULL,
    kafka_to_consumer_buckets  smallint[] NOT NULL,
    kafka_to_consumer_counts   int[] NOT NULL,
    consumer_to_db_buckets     smallint[] NOT NULL,
    consumer_to_db_counts      int[] NOT NULL,
    feed_to_db_buckets         smallint[] NOT NULL,
    feed_to_db_counts          int[] NOT NULL,
    PRIMARY KEY (log_id, kafka_partition, first_offset, committed_at)
) PARTITION BY RANGE (committed_at);
CREATE INDEX ingest_batch_committed_at ON ingest_batch USING brin (committed_at)
    WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE ingest_batch_default PARTITION OF ingest_batch DEFAULT;

COMMENT ON TABLE ingest_batch IS 'One row a transaction and partition of the topic: what it brought, and how long that took';
COMMENT ON TABLE ingest_batch_default IS 'Batches of days that have no partition';
COMMENT ON COLUMN ingest_batch.first_offset IS 'Offset of the first record that was read, whatever became of it';
COMMENT ON COLUMN ingest_batch.next_offset IS 'The offset behind the last record that was read';
COMMENT ON COLUMN ingest_batch.committed_at IS 'to_db of the trades: when they were handed to the database';
COMMENT ON COLUMN ingest_batch.row_count IS 'Trades stored';
COMMENT ON COLUMN ingest_batch.rejected IS 'Records stored in rejected_trade';
COMMENT ON COLUMN ingest_batch.resent IS 'Records that had been stored before, and were skipped';
COMMENT ON COLUMN ingest_batch.feed_to_kafka_sum IS 'From the trade to the producer, in microseconds';
COMMENT ON COLUMN ingest_batch.kafka_to_consumer_sum IS 'From the producer to the consumer, in microseconds';
COMMENT ON COLUMN ingest_batch.consumer_to_db_sum IS 'From the consumer to the database, in microseconds';
COMMENT ON COLUMN ingest_batch.feed_to_db_sum IS 'All the way, in microseconds';

-- The duration in microseconds that stands for a bucket, within 0.8 % of all in it: 64 buckets for each doubling.
CREATE FUNCTION latency_bucket(bucket int) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN bucket < 128 THEN bucket
                ELSE ((bucket % 64 + 64)::bigint << (bucket / 64 - 1)) + ((1::bigint << (bucket / 64 - 1)) - 1) / 2 END;

-- How long trades took on each part of their way, in stretches of time by when they were stored: in seconds, quantiles
-- within 0.8 %. Negative durations are counted, and are in no other figure.
CREATE FUNCTION ingest_latency(since timestamptz, until timestamptz DEFAULT 'infinity', every interval DEFAULT '1 minute')
    RETURNS TABLE (window_start timestamptz, hop text, trades bigint, negative bigint, mean numeric, minimum numeric,
        p50 numeric, p95 numeric, p99 numeric, maximum numeric)
    LANGUAGE sql STABLE AS $$
WITH part AS (
    SELECT date_bin(every, committed_at, 'epoch') AS window_start, hop.*
    FROM ingest_batch CROSS JOIN LATERAL (VALUES
        ('feed_to_kafka', feed_to_kafka_negative, feed_to_kafka_sum, feed_to_kafka_min, feed_to_kafka_max,
            feed_to_kafka_buckets, feed_to_kafka_counts),
        ('kafka_to_consumer', kafka_to_consumer_negative, kafka_to_consumer_sum, kafka_to_consumer_min,
            kafka_to_consumer_max, kafka_to_consumer_buckets, kafka_to_consumer_counts),
        ('consumer_to_db', consumer_to_db_negative, consumer_to_db_sum, consumer_to_db_min, consumer_to_db_max,
            consumer_to_db_buckets, consumer_to_db_counts),
        ('feed_to_db', feed_to_db_negative, feed_to_db_sum, feed_to_db_min, feed_to_db_max,
            feed_to_db_buckets, feed_to_db_counts)
    ) AS hop (hop, negative, sum, min, max, buckets, counts)
    WHERE committed_at >= since AND committed_at < until
), figures AS (
    SELECT window_start, hop, sum(negative) AS negative, sum(sum) AS sum, min(min) AS min, max(max) AS max
    FROM part GROUP BY 1, 2
), bucket AS (
    SELECT window_start, hop, bucket, sum(count) AS count
    FROM part CROSS JOIN LATERAL unnest(buckets, counts) AS each (bucket, count) GROUP BY 1, 2, 3
), ranked AS (
    SELECT window_start, hop, latency_bucket(bucket) AS value,
           sum(count) OVER (PARTITION BY window_start, hop ORDER BY bucket) AS passed,
           sum(count) OVER (PARTITION BY window_start, hop) AS total
    FROM bucket
), quantile AS (
    SELECT window_start, hop, total,
           min(value) FILTER (WHERE passed >= total * 0.50) AS p50,
           min(value) FILTER (WHERE passed >= total * 0.95) AS p95,
           min(value) FILTER (WHERE passed >= total * 0.99) AS p99
    FROM ranked GROUP BY 1, 2, 3
)
SELECT window_start, hop, coalesce(total, 0)::bigint, negative, sum / 1e6 / total, min / 1e6,
       least(greatest(p50, min), max) / 1e6, least(greatest(p95, min), max) / 1e6, least(greatest(p99, min), max) / 1e6,
       max / 1e6
FROM figures LEFT JOIN quantile USING (window_start, hop)
WHERE total > 0 OR negative > 0
ORDER BY 1, 2
$$;

COMMENT ON FUNCTION latency_bucket IS 'The duration in microseconds that stands for a bucket of a histogram';
COMMENT ON FUNCTION ingest_latency IS 'Mean and quantiles of each part of the trades'' way, in stretches of time';
