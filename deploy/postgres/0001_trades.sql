-- The raw trades, what was refused, and how far each reader has come in the topics.

-- A log that offsets count in: a topic in a cluster. An offset means nothing without it: a cluster that is made anew
-- counts from 0 again.
CREATE TABLE topic_log (
    log_id     int PRIMARY KEY CHECK (log_id BETWEEN 1 AND 4095),
    cluster_id text NOT NULL,
    topic      text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    UNIQUE (cluster_id, topic)
);

-- Where each reader goes on, changed in the transaction of the rows that it stores, by compare-and-set on
-- (epoch, next_offset). The epoch rises with each claim, so that a former owner can store nothing any more.
CREATE TABLE offset_ledger (
    reader      text NOT NULL,
    log_id      int NOT NULL REFERENCES topic_log,
    partition   int NOT NULL CHECK (partition BETWEEN 0 AND 2047),
    epoch       bigint NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    owner_pid   int NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reader, log_id, partition)
) WITH (fillfactor = 50);

-- One row a trade. The id is the row's origin: 12 bits of log_id, 11 of the partition, 40 of the offset.
CREATE TABLE trade_data_finhub (
    id              bigint PRIMARY KEY,
    symbol          text NOT NULL CHECK (symbol <> ''),
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
    repeat          int NOT NULL
);
CREATE INDEX trade_data_finhub_symbol_timestamp ON trade_data_finhub (symbol, "timestamp");
CREATE INDEX trade_data_finhub_to_db ON trade_data_finhub USING brin (to_db);

-- Records that are no trades, with what they were.
CREATE TABLE rejected_trade (
    id              bigint PRIMARY KEY,
    topic           text NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset    bigint NOT NULL,
    reason          text NOT NULL,
    payload         bytea,
    rejected_at     timestamptz NOT NULL
);

COMMENT ON TABLE topic_log IS 'Each topic of each cluster that was ever read';
COMMENT ON TABLE offset_ledger IS 'Where each reader goes on, changed in the transaction of its rows';
COMMENT ON TABLE trade_data_finhub IS 'One row a trade, exactly once';
COMMENT ON TABLE rejected_trade IS 'Records of the topic that are no trades, with the reason';
