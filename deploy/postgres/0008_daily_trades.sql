-- The raw trades by day: one partition a day of the event's time in UTC, so that retention drops whole partitions. What has
-- an odd time, or one of a day that no partition was made for yet, goes to the default partition.
--
-- One unique index keeps rows apart, and finds the trades of a symbol by time: the row's origin makes it a key without a
-- sequence, and the same record has the same symbol, time and id whenever it is read.

DROP VIEW "time", median_process_time_table, stockevents;
ALTER TABLE trade_data_finhub RENAME TO trade_data_finhub_before;
-- Their names are the new table's.
ALTER TABLE trade_data_finhub_before
    DROP CONSTRAINT trade_data_finhub_pkey,
    DROP CONSTRAINT trade_data_finhub_symbol_check,
    DROP CONSTRAINT trade_data_finhub_price_check,
    DROP CONSTRAINT trade_data_finhub_timestamp_check,
    DROP CONSTRAINT trade_data_finhub_volume_check,
    DROP CONSTRAINT trade_data_finhub_to_kafka_check,
    DROP CONSTRAINT trade_data_finhub_to_consumer_check,
    DROP CONSTRAINT trade_data_finhub_to_db_check;
DROP INDEX trade_data_finhub_symbol_timestamp, trade_data_finhub_to_db;

CREATE TABLE trade_data_finhub (
    id              bigint NOT NULL,
    symbol          text COLLATE "C" NOT NULL CHECK (symbol <> ''),
    price           numeric NOT NULL CHECK (price > 0 AND price < 'Infinity'),
    "timestamp"     timestamptz NOT NULL CHECK ("timestamp" BETWEEN '1970-01-01 00:00Z' AND '9999-12-31 23:59:59.999Z'),
    volume          numeric NOT NULL CHECK (volume >= 0 AND volume < 'Infinity'),
    conditions      text,
    to_kafka        timestamptz NOT NULL CHECK (isfinite(to_kafka)),
    to_consumer     timestamptz NOT NULL CHECK (isfinite(to_consumer)),
    to_db           timestamptz NOT NULL CHECK (isfinite(to_db)),
    kafka_partition int NOT NULL,
    kafka_offset    bigint NOT NULL,
    source          text NOT NULL,
    sequence        bigint NOT NULL,
    repeat          int NOT NULL,
    PRIMARY KEY (symbol, "timestamp", id)
) PARTITION BY RANGE ("timestamp");
CREATE INDEX trade_data_finhub_to_db ON trade_data_finhub USING brin (to_db) WITH (autosummarize = on);
CREATE TABLE trade_data_finhub_default PARTITION OF trade_data_finhub DEFAULT;

COMMENT ON TABLE trade_data_finhub IS 'One row a trade, exactly once; a partition a day of "timestamp" in UTC';
COMMENT ON TABLE trade_data_finhub_default IS 'Trades of days that have no partition: odd times, or a day not made yet';
COMMENT ON COLUMN trade_data_finhub.id IS 'The row''s origin: 12 bits of log_id, 11 of the partition, 40 of the offset';

-- Partitions are made and dropped by these functions alone: they run as the schema's owner, so that who calls them needs no
-- right to change it. They know any table that is partitioned by a timestamptz column and has a partition <table>_default;
-- the partition of a day is named <table>_YYYYMMDD. All of them wait for locks for 200 ms at most, since whoever comes
-- after them waits too: longer than a writer's transaction takes, and too short for its next ones to be missed.

-- The column of whose days the table has partitions.
CREATE FUNCTION tickstream_day_column(daily_table text) RETURNS name
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    found name;
BEGIN
    SELECT attname INTO found
    FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
    WHERE partrelid = to_regclass(quote_ident(daily_table)) AND atttypid = 'timestamptz'::regtype;
    IF found IS NULL THEN
        RAISE 'no table of this schema has a partition a day: %', daily_table USING ERRCODE = 'undefined_table';
    END IF;
    RETURN found;
END $$;

-- One maintainer at a time, to the end of the transaction; whoever is second is not to wait.
CREATE FUNCTION tickstream_maintain() RETURNS boolean
    LANGUAGE sql
    AS 'SELECT pg_try_advisory_xact_lock(hashtextextended(''tickstream.maintenance'', 0))';

-- Locks relations in the order given, all or none, in short attempts: between these, whoever waits behind goes on.
CREATE FUNCTION tickstream_lock(VARIADIC relations text[]) RETURNS void
    LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
    wanted text;
BEGIN
    SELECT string_agg('ONLY ' || quote_ident(relation), ', ' ORDER BY place) INTO wanted
    FROM unnest(relations) WITH ORDINALITY AS each (relation, place);
    FOR attempt IN 1..5 LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', wanted);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF attempt = 5 THEN RAISE; END IF;
        END;
        PERFORM pg_sleep(0.3 + 0.4 * random());
    END LOOP;
END $$;

-- Makes the partition of a day, and moves the rows of that day there that have come into the default partition meanwhile:
-- all in this transaction, so that at no time anyone sees a row twice, or not at all. Answers how many rows; NULL when the
-- partition was there.
CREATE FUNCTION tickstream_make_day(daily_table text, day date) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' SET timezone = 'UTC' AS $$
DECLARE
    day_column   name := tickstream_day_column(daily_table);
    made         text := daily_table || to_char(day, '_YYYYMMDD');
    rest         text := daily_table || '_default';
    first_moment text := quote_literal(day::timestamptz);
    next_day     text := quote_literal((day + 1)::timestamptz);
    of_the_day   text := format('%1$I >= %2$s AND %1$I < %3$s', day_column, first_moment, next_day);
    move         text := format('WITH moved AS (DELETE FROM %I WHERE ctid >= $1 AND %s RETURNING *)
                                 INSERT INTO %I SELECT * FROM moved', rest, of_the_day, made);
    start        tid := '(0,0)';
    pages        bigint;
    part         bigint;
    last_part    bigint;
    total        bigint := 0;
BEGIN
    IF NOT tickstream_maintain() THEN
        RAISE 'another session maintains the partitions' USING ERRCODE = 'lock_not_available';
    END IF;
    IF to_regclass(quote_ident(made)) IS NOT NULL THEN RETURN NULL; END IF;
    -- Rows come and never change: one vacuum freezes them, and soon enough for index-only scans.
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL, CONSTRAINT of_the_day CHECK (%s)) WITH (
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
        autovacuum_freeze_min_age = 0)', made, daily_table, of_the_day);
    -- Most of the work, while others go on writing. What they write of this day meanwhile is moved next, until it is so
    -- little that they can be kept out for the rest.
    LOOP
        pages := pg_relation_size(quote_ident(rest)::regclass) / current_setting('block_size')::int;
        EXECUTE move USING start;
        GET DIAGNOSTICS part = ROW_COUNT;
        total := total + part;
        EXIT WHEN part < 10000;
        IF part > last_part * 3 / 4 THEN
            RAISE 'rows of % come faster than they can be moved', day USING ERRCODE = 'lock_not_available';
        END IF;
        last_part := part;
        -- New rows come behind, or into the last pages that were not full.
        start := format('(%s,0)', greatest(pages - 1000, 0))::tid;
    END LOOP;
    -- The table itself too: who waited at the default partition alone would go on with a list of the partitions that lacks
    -- the new one. A reader would miss the rows that were moved, a writer would fail with a row of this day.
    PERFORM tickstream_lock(daily_table, rest);
    EXECUTE move USING '(0,0)'::tid;
    GET DIAGNOSTICS part = ROW_COUNT;
    -- The constraint saves the look at each row.
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   daily_table, made, first_moment, next_day);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT of_the_day', made);
    RETURN total + part;
END $$;

-- Drops the partition of a day with all its rows. Answers whether there was one.
CREATE FUNCTION tickstream_drop_day(daily_table text, day date) RETURNS boolean
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
    RETURN true;
END $$;

-- Which days the rows in the default partition are of, and how many.
CREATE FUNCTION tickstream_default_days(daily_table text) RETURNS TABLE (day date, row_count bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET timezone = 'UTC' AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT %I::date, count(*) FROM %I GROUP BY 1',
                                tickstream_day_column(daily_table), daily_table || '_default');
END $$;

-- Deletes rows of days before the given one from the default partition, so many at most. Answers how many.
CREATE FUNCTION tickstream_trim_default(daily_table text, before date, at_most int) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' AS $$
DECLARE
    deleted bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$I WHERE %2$I < %3$L LIMIT %4$s))',
                   daily_table || '_default', tickstream_day_column(daily_table), before::timestamptz, at_most);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END $$;

-- The partitions of tables with a partition a day; the default partition has no day.
CREATE VIEW daily_partition AS
SELECT daily.relname                                          AS daily_table,
       part.relname                                           AS partition,
       to_date(substring(part.relname FROM '_(\d{8})$'), 'YYYYMMDD') AS day,
       pg_total_relation_size(part.oid)                       AS bytes
FROM pg_class AS daily
JOIN pg_inherits ON inhparent = daily.oid
JOIN pg_class AS part ON part.oid = inhrelid
WHERE daily.relkind = 'p' AND daily.relnamespace = current_schema()::regnamespace;

COMMENT ON VIEW daily_partition IS 'The partitions of tables with a partition a day; the default partition has no day';
COMMENT ON FUNCTION tickstream_day_column IS 'The column of whose days a table has partitions';
COMMENT ON FUNCTION tickstream_maintain IS 'Whether this transaction is the one that may make and drop partitions now';
COMMENT ON FUNCTION tickstream_lock IS 'Locks relations for a change of partitions, in short attempts';
COMMENT ON FUNCTION tickstream_make_day IS 'Makes the partition of a day, with what is in the default partition of it';
COMMENT ON FUNCTION tickstream_drop_day IS 'Drops the partition of a day with all its rows';
COMMENT ON FUNCTION tickstream_default_days IS 'Which days the rows in the default partition are of';
COMMENT ON FUNCTION tickstream_trim_default IS 'Deletes rows of days before the given one from the default partition';

-- What runs as the owner finds names in this schema only, and is called only by those who are told to.
DO $$
DECLARE
    made regprocedure;
BEGIN
    FOR made IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'tickstream\_%'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', made, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    END LOOP;
END $$;

-- The rows that are there. A day of a few rows stays in the default partition, as a maintainer leaves it.
SELECT tickstream_make_day('trade_data_finhub', day) FROM (
    SELECT ("timestamp" AT TIME ZONE 'UTC')::date AS day FROM trade_data_finhub_before
    GROUP BY 1 HAVING count(*) >= 10000) AS days;
INSERT INTO trade_data_finhub (id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer, to_db,
    kafka_partition, kafka_offset, source, sequence, repeat)
SELECT id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer, to_db,
    kafka_partition, kafka_offset, source, sequence, repeat
FROM trade_data_finhub_before ORDER BY id;
DROP TABLE trade_data_finhub_before;

-- The views on it, as before.

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

COMMENT ON VIEW "time" IS 'KPI 8: how long each step of each trade took';
COMMENT ON VIEW median_process_time_table IS 'KPI 8: mean and median times a minute, the last 15 minutes, in seconds';
COMMENT ON VIEW stockevents IS 'The raw trades as symbol, price, volume, ts';
