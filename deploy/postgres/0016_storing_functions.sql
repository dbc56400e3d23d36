-- What a reader's transaction does, as functions: a session keeps their plans, also behind PgBouncer, and the compare-and-set
-- can go to the server together with the COMMIT, or with all else, since it stops the transaction by itself.

-- Stores trades, and waits for locks for 30 s at most: it may be in a statement that is a transaction of its own, for which
-- nobody else sets limits. An array a column, an element a row. It fails unless that many rows were stored, as a trigger may
-- have it.
CREATE FUNCTION store_trades(id bigint[], symbol text[], price numeric[], "timestamp" timestamptz[], volume numeric[],
    conditions text[], to_kafka timestamptz[], to_consumer timestamptz[], to_db timestamptz[], kafka_partition int[],
    kafka_offset bigint[], source text[], sequence bigint[], repeat int[])
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stored int;
BEGIN
    PERFORM set_config('lock_timeout', '30s', true);
    INSERT INTO trade_data_finhub (id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer, to_db,
        kafka_partition, kafka_offset, source, sequence, repeat)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored <> cardinality($1) THEN
        RAISE 'trade_data_finhub took % rows where % were sent', stored, cardinality($1);
    END IF;
END $$;
COMMENT ON FUNCTION store_trades IS 'Stores trades: an array a column, an element a row';

-- Stores what a transaction brought of each partition, from an array of objects with the table's columns.
CREATE FUNCTION store_ingest_batches(batches json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ingest_batch SELECT * FROM json_populate_recordset(NULL::ingest_batch, batches);
END $$;
COMMENT ON FUNCTION store_ingest_batches IS 'Stores what a transaction brought, an object a partition';

-- Moves positions on from where they were when they were claimed, or fails, and nothing is stored: SQLSTATE TS001, with the
-- partitions that another member has claimed as the detail. A position is log, partition, epoch, first offset, next offset and
-- anchor; a source has a mark of log, partition and sequence. Positions come in the order in which claims lock them, and marks,
-- in one order for all, are locked behind them: so nobody waits in a circle.
CREATE FUNCTION advance_offset_ledger(whose text, positions bigint[][], sources text[], marks bigint[][])
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    position bigint[];
    fenced   int[] := '{}';
BEGIN
    FOREACH position SLICE 1 IN ARRAY positions LOOP
        UPDATE offset_ledger SET next_offset = position[5], anchor = position[6], updated_at = clock_timestamp()
        WHERE reader = whose AND log_id = position[1] AND partition = position[2]
            AND epoch = position[3] AND next_offset = position[4];
        IF NOT FOUND THEN fenced := fenced || position[2]::int; END IF;
    END LOOP;
    IF fenced <> '{}' THEN
        RAISE 'another member has claimed partitions of this transaction, so it is not to be committed'
            USING ERRCODE = 'TS001', DETAIL = fenced::text;
    END IF;
    INSERT INTO source_position (reader, log_id, partition, source, sequence)
    SELECT whose, marks[place][1], marks[place][2], sources[place], marks[place][3]
    FROM generate_subscripts(sources, 1) AS place
    ON CONFLICT (reader, log_id, partition, source) DO UPDATE SET sequence = excluded.sequence;
END $$;
COMMENT ON FUNCTION advance_offset_ledger IS 'Moves a reader''s positions on, or fails where another member has claimed them';

REVOKE ALL ON FUNCTION store_trades, store_ingest_batches, advance_offset_ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store_trades, store_ingest_batches TO tickstream_ingest;
GRANT EXECUTE ON FUNCTION advance_offset_ledger TO tickstream_ingest, tickstream_kpi;
