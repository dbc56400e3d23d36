-- Rollups a symbol and window, kept by kpi-service. All sums are exact; open and close are those of the first and last
-- trade by (time, id), so that they do not depend on the order in which trades come in.

CREATE TABLE trade_rollup_1s (
    symbol       text NOT NULL,
    window_start timestamptz NOT NULL,
    trades       bigint NOT NULL CHECK (trades > 0),
    volume       numeric NOT NULL,
    price_sum    numeric NOT NULL,
    notional     numeric NOT NULL,
    open         numeric NOT NULL,
    open_time    timestamptz NOT NULL,
    open_id      bigint NOT NULL,
    high         numeric NOT NULL,
    low          numeric NOT NULL,
    close        numeric NOT NULL,
    close_time   timestamptz NOT NULL,
    close_id     bigint NOT NULL,
    PRIMARY KEY (symbol, window_start)
) WITH (fillfactor = 70);
CREATE TABLE trade_rollup_1m (LIKE trade_rollup_1s INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE trade_rollup_1h (LIKE trade_rollup_1s INCLUDING ALL) WITH (fillfactor = 70);
CREATE INDEX trade_rollup_1s_window_start ON trade_rollup_1s (window_start);
CREATE INDEX trade_rollup_1m_window_start ON trade_rollup_1m (window_start);

COMMENT ON TABLE trade_rollup_1s IS 'Trades a symbol and second';
COMMENT ON TABLE trade_rollup_1m IS 'Trades a symbol and minute';
COMMENT ON TABLE trade_rollup_1h IS 'Trades a symbol and hour';
COMMENT ON COLUMN trade_rollup_1s.price_sum IS 'Sum of the prices: price_sum / trades is the average price';
COMMENT ON COLUMN trade_rollup_1s.notional IS 'Sum of price × volume: notional / volume is the VWAP';
