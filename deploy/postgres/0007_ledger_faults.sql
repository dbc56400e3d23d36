-- What a position is worth depends on the log that it counts in: that it is still the same log, and has lost nothing.

-- A topic that was deleted and made anew has the name and the cluster of the former one, but its offsets mean other
-- records. Who resets a reader to an offset below its position begins a new generation: row ids of their own.
ALTER TABLE topic_log ADD COLUMN generation int NOT NULL DEFAULT 1 CHECK (generation > 0);
ALTER TABLE topic_log DROP CONSTRAINT topic_log_cluster_id_topic_key;
ALTER TABLE topic_log ADD UNIQUE (cluster_id, topic, generation);

ALTER TABLE offset_ledger
    ADD COLUMN anchor        bigint,
    ADD COLUMN owner         text,
    ADD COLUMN owner_started timestamptz,
    ADD COLUMN fault         text,
    -- Row ids have room for no more.
    ADD CHECK (next_offset <= 1::bigint << 40);

COMMENT ON COLUMN topic_log.generation IS 'Rises when a reader begins anew in a topic that was made anew';
COMMENT ON COLUMN offset_ledger.anchor IS 'Hash of the last record before next_offset: shows whether the log is still the same';
COMMENT ON COLUMN offset_ledger.owner IS 'The process that claimed the partition last, as host:pid';
COMMENT ON COLUMN offset_ledger.owner_pid IS 'The server process of the connection that claimed the partition last';
COMMENT ON COLUMN offset_ledger.owner_started IS 'When that connection began: together with owner_pid it is unique';
COMMENT ON COLUMN offset_ledger.fault IS 'Why the partition is not read on, until it is reset; NULL when it is read';
