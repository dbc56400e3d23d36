-- Rejected records that are sent through their topic again. Each gets its number there before it is sent, and keeps it: so
-- one that is sent a second time, after a crash, is known by its number.
CREATE SEQUENCE rejected_retry;
ALTER TABLE rejected_trade ADD COLUMN retry_sequence bigint;
CREATE UNIQUE INDEX rejected_trade_retry_sequence ON rejected_trade (retry_sequence) WHERE retry_sequence IS NOT NULL;

COMMENT ON SEQUENCE rejected_retry IS 'Numbers of the source retry, which only rise';
COMMENT ON COLUMN rejected_trade.retry_sequence IS 'The number under which the record is being sent again, as seq of the source retry';
