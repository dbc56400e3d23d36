-- Alerts: rules in further rows of threshold, what is found to be wrong by them, and how that reaches the topic of alerts.

-- A row with a kind is a rule. Rows without one, such as 1 to 3, stay what they are.
ALTER TABLE threshold
    ADD COLUMN kind        text,
    ADD COLUMN closes_at   numeric,
    ADD COLUMN open_after  interval,
    ADD COLUMN close_after interval,
    ADD COLUMN look_back   interval,
    ADD COLUMN symbols     text[],
    ADD COLUMN severity    text,
    ADD COLUMN enabled     boolean;
-- Only for rows to come: those that are there are no rules.
ALTER TABLE threshold
    ALTER COLUMN open_after  SET DEFAULT '0',
    ALTER COLUMN close_after SET DEFAULT '0',
    ALTER COLUMN look_back   SET DEFAULT '1 minute',
    ALTER COLUMN severity    SET DEFAULT 'warning',
    ALTER COLUMN enabled     SET DEFAULT true;

-- A rule may have 0 as its limit. The names are what somebody reads whose rule is refused.
ALTER TABLE threshold DROP CONSTRAINT threshold_value_check;
ALTER TABLE threshold
    ADD CONSTRAINT threshold_value_check
        CHECK (value < 'Infinity' AND (value > 0 OR kind IS NOT NULL AND value >= 0)),
    ADD CONSTRAINT "rows 1 to 3 are no rules" CHECK (kind IS NULL OR id > 3),
    ADD CONSTRAINT "a rule's name has 1 to 200 characters" CHECK (kind IS NULL OR length(name) BETWEEN 1 AND 200),
    ADD CONSTRAINT "a rule's kind is one of those in docs/alerts.md" CHECK (kind IN (
        'symbols_missing_above', 'rate_below', 'rate_above', 'symbol_stale_above', 'process_time_p50_above',
        'process_time_p95_above', 'consumer_lag_above', 'kpi_lag_above', 'rejected_above')),
    ADD CONSTRAINT "a rule's severity is info, warning or critical"
        CHECK (kind IS NULL OR severity IS NOT NULL AND severity IN ('info', 'warning', 'critical')),
    ADD CONSTRAINT "a rule is enabled or not" CHECK (kind IS NULL OR enabled IS NOT NULL),
    ADD CONSTRAINT "an above rule closes at its limit or below, but not below 0"
        CHECK (kind NOT LIKE '%\_above' OR closes_at IS NULL OR closes_at BETWEEN 0 AND value),
    ADD CONSTRAINT "a below rule closes at its limit or above"
        CHECK (kind NOT LIKE '%\_below' OR closes_at IS NULL OR closes_at >= value AND closes_at < 'Infinity'),
    ADD CONSTRAINT "a rule opens and closes after 0 seconds to 1 day"
        CHECK (kind IS NULL OR open_after IS NOT NULL AND open_after BETWEEN '0' AND '1 day'
            AND close_after IS NOT NULL AND close_after BETWEEN '0' AND '1 day'),
    ADD CONSTRAINT "a rule looks back 1 second to 1 hour, in whole seconds"
        CHECK (kind IS NULL OR kind = 'symbol_stale_above' OR look_back IS NOT NULL
            AND look_back BETWEEN '1 second' AND '1 hour' AND extract(microseconds FROM look_back) % 1000000 = 0),
    ADD CONSTRAINT "a rule about silence looks back 1 hour to 7 days"
        CHECK (kind <> 'symbol_stale_above' OR look_back IS NOT NULL AND look_back BETWEEN '1 hour' AND '7 days'),
    ADD CONSTRAINT "only rules about rates and silence are of symbols"
        CHECK (symbols IS NULL OR kind IS NOT NULL AND kind IN ('rate_below', 'rate_above', 'symbol_stale_above')),
    ADD CONSTRAINT "a rule's symbols are a list that is not empty"
        CHECK (symbols IS NULL OR coalesce(array_ndims(symbols), 0) = 1 AND array_position(symbols, NULL) IS NULL
            AND array_position(symbols, '') IS NULL);

COMMENT ON TABLE threshold IS 'What the KPIs are measured against, and the rules of the alerts; a change counts from the next read on';
COMMENT ON COLUMN threshold.value IS 'The value; of a rule the limit: an alert opens beyond it';
COMMENT ON COLUMN threshold.kind IS 'What a rule measures, and whether above or below its limit; NULL: no rule';
COMMENT ON COLUMN threshold.closes_at IS 'The measure at which an alert closes again; NULL: the limit';
COMMENT ON COLUMN threshold.open_after IS 'For how long the measure must be beyond the limit before an alert opens';
COMMENT ON COLUMN threshold.close_after IS 'For how long it must have come back before the alert closes';
COMMENT ON COLUMN threshold.look_back IS 'The stretch of time that is measured; of silence, for how long a symbol is remembered';
COMMENT ON COLUMN threshold.symbols IS 'Symbols, or patterns with * for any text, each measured by itself; NULL: all together, of silence each';

INSERT INTO threshold (id, name, kind, value, closes_at, unit, look_back, open_after, close_after, severity, enabled) VALUES
    (101, 'symbols missing', 'symbols_missing_above', 0, 0, 'symbols', '15 minutes', '1 minute', '1 minute', 'warning', true),
    (102, 'few trades', 'rate_below', 1, 1.5, 'trades a second', '1 minute', '1 minute', '1 minute', 'warning', false),
    (103, 'many trades', 'rate_above', 10000, 8000, 'trades a second', '1 minute', '1 minute', '1 minute', 'info', false),
    (104, 'symbol silent', 'symbol_stale_above', 1, 0.5, 'times mute-after', '4 days', '0', '0', 'warning', true),
    (105, 'slow for most trades', 'process_time_p50_above', 5, 2.5, 'seconds', '1 minute', '1 minute', '1 minute', 'critical', false),
    (106, 'slow for some trades', 'process_time_p95_above', 10, 5, 'seconds', '1 minute', '1 minute', '1 minute', 'warning', true),
    (107, 'consumer behind', 'consumer_lag_above', 100000, 10000, 'records', '1 minute', '1 minute', '1 minute', 'critical', true),
    (108, 'KPIs behind', 'kpi_lag_above', 100000, 10000, 'records', '1 minute', '1 minute', '1 minute', 'critical', true),
    (109, 'records rejected', 'rejected_above', 0, 0, 'records', '5 minutes', '0', '0', 'warning', true);

-- Whether a symbol fits one of some patterns, in which * stands for any text.
CREATE FUNCTION symbol_fits(symbol text, patterns text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM unnest(patterns) AS pattern
        WHERE symbol LIKE replace(replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'));

-- What was found by a rule, for a symbol or as a whole. Limits are those of the opening.
CREATE TABLE alert (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id         int NOT NULL,
    rule            text NOT NULL,
    kind            text NOT NULL,
    severity        text NOT NULL,
    symbol          text COLLATE "C" CHECK (symbol <> ''),
    state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'closed')),
    value           numeric NOT NULL,
    limit_value     numeric NOT NULL,
    closes_at       numeric NOT NULL,
    since           timestamptz NOT NULL,
    opened_at       timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    clear_since     timestamptz,
    closed_at       timestamptz,
    closed_by       text,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CHECK (state = 'closed' OR (state = 'acknowledged') = (acknowledged_at IS NOT NULL))
);
CREATE UNIQUE INDEX alert_open ON alert (rule_id, coalesce(symbol, '')) WHERE state <> 'closed';
CREATE INDEX alert_opened_at ON alert (opened_at);

-- Each change of an alert, in the order of the numbers; what has no published_at is still to reach the topic.
CREATE TABLE alert_transition (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id     bigint NOT NULL REFERENCES alert ON DELETE CASCADE,
    state        text NOT NULL CHECK (state IN ('opened', 'acknowledged', 'closed')),
    at           timestamptz NOT NULL,
    value        numeric,
    by           text,
    published_at timestamptz,
    UNIQUE (alert_id, state)
);
CREATE INDEX alert_transition_unpublished ON alert_transition (sequence) WHERE published_at IS NULL;

-- Rules whose limit is passed and whose time is not up yet; and, without a time, those whose alert somebody closed: until
-- the measure has come back, no other one opens.
CREATE TABLE alert_pending (
    rule_id int NOT NULL REFERENCES threshold ON DELETE CASCADE,
    symbol  text COLLATE "C" NOT NULL,
    since   timestamptz,
    PRIMARY KEY (rule_id, symbol)
);

-- One row, whose lock is the right to change alerts. It tells until when the rollups are complete: kpi-service has stored
-- all that stood below log_ends, the ends of the topic's partitions at log_ends_at.
CREATE TABLE alert_evaluation (
    id             boolean PRIMARY KEY DEFAULT true CHECK (id),
    evaluated_at   timestamptz,
    complete_until timestamptz,
    cluster_id     text,
    topic          text,
    log_ends       bigint[],
    log_ends_at    timestamptz
) WITH (fillfactor = 50);
INSERT INTO alert_evaluation DEFAULT VALUES;

-- Where each reader stands in the newest generation of each log. It runs as the owner, so that one who may read it sees the
-- positions of all readers.
CREATE VIEW reader_position AS
SELECT DISTINCT ON (reader, cluster_id, topic, partition) reader, cluster_id, topic, partition, next_offset
FROM offset_ledger JOIN topic_log USING (log_id)
ORDER BY reader, cluster_id, topic, partition, generation DESC;

COMMENT ON TABLE alert IS 'What rules of threshold have found, a rule and symbol; at most one that is not closed';
COMMENT ON COLUMN alert.value IS 'What was measured when it opened';
COMMENT ON COLUMN alert.since IS 'Since when the measure has been beyond the limit';
COMMENT ON COLUMN alert.clear_since IS 'Since when it has come back, while the alert waits to close';
COMMENT ON COLUMN alert.closed_by IS 'Who closed it; NULL when the measure came back';
COMMENT ON TABLE alert_transition IS 'Each change of an alert, on its way into the topic of alerts';
COMMENT ON TABLE alert_pending IS 'Limits that are passed, and not for long enough yet; since is NULL after a close by hand';
COMMENT ON TABLE alert_evaluation IS 'When rules were evaluated last, and until when the rollups are complete';
COMMENT ON VIEW reader_position IS 'Where each reader stands in the newest generation of each log';

GRANT SELECT, INSERT ON alert, alert_transition, alert_pending TO tickstream_kpi;
GRANT UPDATE (state, acknowledged_at, acknowledged_by, clear_since, closed_at, closed_by) ON alert TO tickstream_kpi;
GRANT UPDATE (published_at) ON alert_transition TO tickstream_kpi;
GRANT UPDATE, DELETE ON alert_pending TO tickstream_kpi;
GRANT SELECT, UPDATE ON alert_evaluation TO tickstream_kpi;
GRANT SELECT ON reader_position TO tickstream_kpi;
GRANT SELECT ON alert, alert_transition, alert_evaluation, reader_position TO tickstream_read;
