-- The KPI tables of the report, under its names. They read the rollups; a changed threshold counts from the next read on,
-- for the past too.

CREATE TABLE threshold (
    id    int PRIMARY KEY,
    name  text NOT NULL UNIQUE,
    value numeric NOT NULL CHECK (value > 0 AND value < 'Infinity'),
    unit  text NOT NULL,
    -- The finest rollup is a second, so windows are whole seconds.
    CHECK (id NOT IN (2, 3) OR (value = trunc(value) AND value <= 86400))
);
INSERT INTO threshold (id, name, value, unit) VALUES
    (1, 'symbols subscribed', 4, 'symbols'),
    (2, 'unique-symbol window', 30, 'seconds'),
    (3, 'transaction-rate bucket', 1, 'seconds');

-- The length of a window that a threshold sets.
CREATE FUNCTION threshold_window(threshold_id int) RETURNS interval
    LANGUAGE sql STABLE
    AS 'SELECT make_interval(secs => value::int) FROM threshold WHERE id = threshold_id';

-- KPIs 1, 3, 4 and 6: average volume, amount of data, average, least and greatest price, a symbol.
CREATE VIEW average_volume_per_symbol AS
SELECT symbol,
       sum(volume) / sum(trades)         AS average_volume,
       sum(trades)::bigint               AS trades,
       sum(volume)                       AS total_volume,
       sum(price_sum) / sum(trades)      AS average_price,
       min(low)                          AS minimum_price,
       max(high)                         AS maximum_price,
       sum(notional) / nullif(sum(volume), 0) AS vwap
FROM trade_rollup_1h
GROUP BY symbol;

-- KPI 2: trades a second, in buckets of threshold 3.
CREATE VIEW rate_of_transaction AS
SELECT date_bin(threshold_window(3), window_start, 'epoch') AS window_start,
       sum(trades)::bigint                                  AS trades,
       sum(trades) / (SELECT value FROM threshold WHERE id = 3) AS trades_per_second
FROM trade_rollup_1s
GROUP BY 1;

-- KPI 5: unique symbols in windows of threshold 2, against threshold 1.
CREATE VIEW symbol_count_per_30s AS
SELECT date_bin(threshold_window(2), window_start, 'epoch') AS window_start,
       count(DISTINCT symbol)                               AS symbols,
       expected.value                                       AS expected,
       greatest(expected.value - count(DISTINCT symbol), 0) AS missing,
       count(DISTINCT symbol) >= expected.value             AS complete,
       string_agg(DISTINCT symbol, ', ' ORDER BY symbol)    AS symbols_seen
FROM trade_rollup_1s, (SELECT value FROM threshold WHERE id = 1) AS expected
GROUP BY 1, expected.value;

-- KPI 8, a trade: how long each step took. Negative where clocks differ.
CREATE VIEW "time" AS
SELECT id,
       symbol,
       "timestamp",
       to_kafka - "timestamp"   AS feed_to_kafka,
       to_consumer - to_kafka   AS kafka_to_consumer,
       to_db - to_consumer      AS consumer_to_db,
       to_db - "timestamp"      AS process_time
FROM trade_data_finhub;

-- KPI 8 a minute of storing, over the last 15 minutes: exact, so it reads the raw rows of just that time. In seconds.
CREATE VIEW median_process_time_table AS
SELECT date_bin('1 minute', to_db, 'epoch')                                                      AS window_start,
       count(*)                                                                                   AS trades,
       avg(extract(epoch FROM to_db - "timestamp"))                                               AS mean_process_time,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM to_db - "timestamp"))       AS median_process_time,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM to_kafka - "timestamp"))    AS median_feed_to_kafka,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM to_consumer - to_kafka))    AS median_kafka_to_consumer,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM to_db - to_consumer))       AS median_consumer_to_db
FROM trade_data_finhub
WHERE to_db >= now() - interval '15 minutes'
GROUP BY 1;

-- The raw trades under the other report's names.
CREATE VIEW stockevents AS
SELECT symbol, price, volume, "timestamp" AS ts FROM trade_data_finhub;

COMMENT ON TABLE threshold IS 'What the KPIs are measured against; a change counts from the next read on';
COMMENT ON VIEW average_volume_per_symbol IS 'KPIs 1, 3, 4 and 6: volume, amount of data and prices a symbol';
COMMENT ON VIEW rate_of_transaction IS 'KPI 2: trades a second, in buckets of threshold 3';
COMMENT ON VIEW symbol_count_per_30s IS 'KPI 5: unique symbols in windows of threshold 2, against threshold 1';
COMMENT ON VIEW "time" IS 'KPI 8: how long each step of each trade took';
COMMENT ON VIEW median_process_time_table IS 'KPI 8: mean and median times a minute, the last 15 minutes, in seconds';
COMMENT ON VIEW stockevents IS 'The raw trades as symbol, price, volume, ts';
