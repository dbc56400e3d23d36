-- How far each source has come in each partition, by the numbers of its records, which only rise there: what a producer
-- sends again after a crash is not stored again. A mark is changed in the transaction of the rows, and goes with the
-- reader's position: beside an older one it would hold back records that were never stored.
CREATE TABLE source_position (
    reader    text NOT NULL,
    log_id    int NOT NULL,
    partition int NOT NULL,
    source    text COLLATE "C" NOT NULL,
    sequence  bigint NOT NULL CHECK (sequence >= 0),
    PRIMARY KEY (reader, log_id, partition, source),
    FOREIGN KEY (reader, log_id, partition) REFERENCES offset_ledger ON DELETE CASCADE
) WITH (fillfactor = 50);

COMMENT ON TABLE source_position IS 'How far each source has come, a reader and partition: what it sends again is skipped';
COMMENT ON COLUMN source_position.source IS 'The producer that wrote the records: their src';
COMMENT ON COLUMN source_position.sequence IS 'The greatest seq of this source that is stored; what has no greater one was sent again';
