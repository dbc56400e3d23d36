-- What the feed's trades do not tell: when it was away, what it refused, and what was counted on the way.

-- One row an event of the topic feed-events; the id is the row's origin, as in trade_data_finhub.
CREATE TABLE feed_event (
    id              bigint PRIMARY KEY,
    at              timestamptz NOT NULL,
    source          text NOT NULL,
    sequence        bigint NOT NULL,
    kind            text NOT NULL,
    symbol          text,
    cause           text,
    close_code      int,
    http_status     int,
    connected_ms    bigint,
    gap_from        timestamptz,
    gap_to          timestamptz,
    frames          bigint,
    received        bigint,
    rejected        bigint,
    enqueued        bigint,
    acknowledged    bigint,
    details         jsonb,
    kafka_partition int NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE INDEX feed_event_source_sequence ON feed_event (source, sequence);

-- A gap begins with the last thing that came before a connection ended, and ends with the next connection. A producer that
-- was killed tells of no end: its gap begins with the last event that it told.
CREATE VIEW feed_gap AS
WITH turn AS (
    SELECT source, sequence, kind, at, cause, gap_from, told_before,
           lag(kind) OVER (PARTITION BY source ORDER BY sequence) AS kind_before
    FROM (SELECT *, lag(at) OVER (PARTITION BY source ORDER BY sequence) AS told_before FROM feed_event) AS event
    WHERE kind IN ('connected', 'disconnected')
), edge AS (
    SELECT *, lead(at) OVER (PARTITION BY source ORDER BY sequence) AS next_at
    FROM turn
    -- Attempts in vain lengthen the gap that is there.
    WHERE kind = 'connected' OR kind_before IS DISTINCT FROM 'disconnected'
)
SELECT source, coalesce(gap_from, at) AS gap_from, next_at AS gap_to, cause
FROM edge WHERE kind = 'disconnected'
UNION ALL
SELECT source, told_before, at, 'the producer ended without a word'
FROM edge WHERE kind = 'connected' AND kind_before = 'connected';

COMMENT ON TABLE feed_event IS 'One row an event in the life of a feed, exactly once';
COMMENT ON COLUMN feed_event.details IS 'Counts by name: of trades by symbol, of rejected items and dropped trades by reason';
COMMENT ON VIEW feed_gap IS 'Times in which no connection to the feed was open; without an end while that lasts';
