-- The compare-and-set of a reader's transaction, which goes to the server together with its COMMIT: so it has to stop the
-- transaction by itself, and its plans are kept by the session.

-- Moves positions on from where they were when they were claimed, or fails, and nothing is stored: SQLSTATE TS001, with the
-- partitions that another member has claimed as the detail. The arrays have an element a partition, in ascending order, as
-- claims lock them; marks are locked behind their positions. So nobody waits in a circle.
CREATE FUNCTION advance_offset_ledger(whose text, logs int[], partitions int[], epochs bigint[], firsts bigint[],
    nexts bigint[], anchors bigint[], marked_partitions int[], marked_sources text[], marked_sequences bigint[])
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    fenced int[] := '{}';
BEGIN
    FOR place IN 1..cardinality(partitions) LOOP
        UPDATE offset_ledger
        SET next_offset = nexts[place], anchor = anchors[place], updated_at = clock_timestamp()
        WHERE reader = whose AND log_id = logs[place] AND partition = partitions[place]
            AND epoch = epochs[place] AND next_offset = firsts[place];
        IF NOT FOUND THEN fenced := fenced || partitions[place]; END IF;
    END LOOP;
    IF fenced <> '{}' THEN
        RAISE 'another member has claimed partitions of this transaction, so it is not to be committed'
            USING ERRCODE = 'TS001', DETAIL = fenced::text;
    END IF;
    INSERT INTO source_position (reader, log_id, partition, source, sequence)
    SELECT whose, logs[array_position(partitions, marked.partition)], marked.partition, marked.source, marked.sequence
    FROM unnest(marked_partitions, marked_sources, marked_sequences) AS marked (partition, source, sequence)
    ORDER BY marked.partition, marked.source
    ON CONFLICT (reader, log_id, partition, source) DO UPDATE SET sequence = excluded.sequence;
END $$;
COMMENT ON FUNCTION advance_offset_ledger IS 'Moves a reader''s positions on, or fails where another member has claimed them';

REVOKE ALL ON FUNCTION advance_offset_ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION advance_offset_ledger TO tickstream_ingest, tickstream_kpi;
