-- A gap begins with the last thing that came before a connection ended, and ends with the next connection. A producer that was
-- killed tells of no end; the next run tells with its first connection when the feed was heard last, and where it does not know,
-- the gap begins with the last event.
CREATE OR REPLACE VIEW feed_gap AS
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
SELECT source, coalesce(gap_from, told_before), at, 'the producer ended without a word'
FROM edge WHERE kind = 'connected' AND kind_before = 'connected';
