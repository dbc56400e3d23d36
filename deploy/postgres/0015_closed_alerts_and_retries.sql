-- Closed alerts are deleted when their time is over.

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
