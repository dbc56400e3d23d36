-- Closed alerts are deleted when their time is over, and what 'rejected retry' gives back counts in no latency.

CREATE INDEX alert_closed_at ON alert (closed_at) WHERE state = 'closed';

-- Deletes alerts that were closed before a day in UTC, with their changes, so many at most; told to, none of which a change is
-- still to reach the topic. Answers how many. It runs as the owner: so kpi-service can delete these, and no others.
CREATE FUNCTION delete_closed_alerts(before date, at_most int, only_published boolean) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER AS $$
WITH deleted AS (
    DELETE FROM alert WHERE id = ANY (ARRAY(
        SELECT id FROM alert
        WHERE state = 'closed' AND closed_at < before::timestamp AT TIME ZONE 'UTC'
            AND NOT (only_published AND EXISTS (
                SELECT FROM alert_transition WHERE alert_id = alert.id AND published_at IS NULL))
        ORDER BY closed_at LIMIT at_most))
    RETURNING 1
)
SELECT count(*) FROM deleted
$$;
COMMENT ON FUNCTION delete_closed_alerts IS 'Deletes alerts that were closed before a day, with their changes';

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION delete_closed_alerts SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION delete_closed_alerts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION delete_closed_alerts TO tickstream_kpi;

-- Trades that had been rejected and were sent again by hand: how long that took says nothing of the way.
ALTER TABLE ingest_batch ADD COLUMN retried int NOT NULL DEFAULT 0;
COMMENT ON COLUMN ingest_batch.row_count IS 'Trades stored, but for those that are retried';
COMMENT ON COLUMN ingest_batch.retried IS 'Trades stored that had been rejected before; their durations are in no figure';

-- As before, without these, nor those that were stored in the place of their rejection, which have two equal moments.
CREATE OR REPLACE FUNCTION exact_process_time(since timestamptz, until timestamptz)
    RETURNS TABLE (hop text, trades bigint, negative bigint, mean numeric, minimum numeric, median numeric, p95 numeric,
        p99 numeric, maximum numeric)
    LANGUAGE sql STABLE AS $$
SELECT part.hop, count(*) FILTER (WHERE took >= 0), count(*) FILTER (WHERE took < 0), avg(took) FILTER (WHERE took >= 0),
       min(took) FILTER (WHERE took >= 0), percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0),
       percentile_disc(0.99) WITHIN GROUP (ORDER BY took) FILTER (WHERE took >= 0), max(took) FILTER (WHERE took >= 0)
FROM trade_data_finhub CROSS JOIN LATERAL (VALUES
    ('feed_to_kafka', extract(epoch FROM to_kafka - "timestamp")),
    ('kafka_to_consumer', extract(epoch FROM to_consumer - to_kafka)),
    ('consumer_to_db', extract(epoch FROM to_db - to_consumer)),
    ('feed_to_db', extract(epoch FROM to_db - "timestamp"))) AS part (hop, took)
WHERE to_db >= since AND to_db < until AND source <> 'retry' AND to_consumer <> to_db
GROUP BY part.hop ORDER BY part.hop
$$;
