-- Who may do what. The programs log in as users who are members of these groups and own nothing; the schema's owner alone
-- migrates, resets positions and deletes. Nobody is told of a table by default: each migration that makes one grants it.

-- Roles belong to the server, not to the database: other databases may have made them, or be making them right now.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['tickstream_ingest', 'tickstream_kpi', 'tickstream_read'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = role);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE 'the roles tickstream_ingest, tickstream_kpi and tickstream_read are missing, and % may not create roles: have an administrator create them (NOLOGIN), or grant CREATEROLE, and migrate again',
                    current_user USING ERRCODE = 'insufficient_privilege';
        END;
    END LOOP;
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tickstream_ingest, tickstream_kpi, tickstream_read', current_schema());
END $$;

GRANT SELECT ON schema_migration TO tickstream_ingest, tickstream_kpi, tickstream_read;

-- Both readers: their positions, and what they find lost.
GRANT SELECT, INSERT ON topic_log TO tickstream_ingest, tickstream_kpi;
GRANT SELECT, INSERT, UPDATE ON offset_ledger, source_position TO tickstream_ingest, tickstream_kpi;
GRANT INSERT, SELECT (id) ON feed_event TO tickstream_ingest, tickstream_kpi;

-- The consumer adds rows. It cannot change or delete one.
GRANT INSERT ON trade_data_finhub, rejected_trade, ingest_batch TO tickstream_ingest;
GRANT SELECT ON daily_partition TO tickstream_ingest;

-- The KPI service keeps the rollups, and reads what they are made of.
GRANT SELECT, INSERT, UPDATE, DELETE ON trade_rollup_1s, trade_rollup_1m, trade_rollup_1h TO tickstream_kpi;
GRANT SELECT ON trade_data_finhub, ingest_batch, threshold TO tickstream_kpi;

-- Dashboards. What a rejected record says is not for them: it may be anything.
GRANT SELECT ON
    trade_data_finhub, stockevents, trade_rollup_1s, trade_rollup_1m, trade_rollup_1h, threshold,
    average_volume_per_symbol, rate_of_transaction, symbol_count_per_30s, "time", median_process_time_table,
    feed_event, feed_gap, ingest_batch, daily_partition, topic_log, offset_ledger, source_position
    TO tickstream_read;
GRANT SELECT (id, topic, kafka_partition, kafka_offset, reason, rejected_at) ON rejected_trade TO tickstream_read;

-- A reader sees and moves its own positions only. The owner of the tables sees all.
ALTER TABLE offset_ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE source_position ENABLE ROW LEVEL SECURITY;
CREATE POLICY ingest ON offset_ledger TO tickstream_ingest USING (reader = 'consumer');
CREATE POLICY ingest ON source_position TO tickstream_ingest USING (reader = 'consumer');
CREATE POLICY kpi ON offset_ledger TO tickstream_kpi USING (reader = 'kpi-service');
CREATE POLICY kpi ON source_position TO tickstream_kpi USING (reader = 'kpi-service');
CREATE POLICY read ON offset_ledger FOR SELECT TO tickstream_read USING (true);
CREATE POLICY read ON source_position FOR SELECT TO tickstream_read USING (true);

-- The functions that run as the owner are the consumer's, which maintains the table that it fills.
DO $$
DECLARE
    made regprocedure;
BEGIN
    FOR made IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'tickstream\_%'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tickstream_ingest', made);
    END LOOP;
END $$;
