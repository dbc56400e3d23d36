import Postgres
import TradeModel

/// Finds out up to when the rollups are complete. Low rates and silence look the same as a `kpi-service` that is behind.
///
/// The ends of the topic stand in the database from one evaluation to a later one, which finds all positions there: then
/// the rollups have all that the topic held when its ends were read.
enum RollupCompleteness {
    /// Looks whether what the topic held is stored, and if so, notes what it holds now.
    /// - Parameters:
    ///   - log: the ends of the topic; nil when they are not known.
    ///   - readAt: the database's time before they were read.
    /// - Returns: until when the rollups are complete.
    static func advance(
        _ log: LogEnds?, readAt logMoment: Timestamp, _ now: Timestamp, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> Timestamp? {
        let ends = log.map { log in "{\(log.partitions.map { String($0.high) }.joined(separator: ","))}" }
        let rows = try connection.query(
            """
            WITH former AS (
                SELECT *, NOT EXISTS (SELECT FROM unnest(log_ends) WITH ORDINALITY AS each (high, number)
                    LEFT JOIN reader_position AS position ON position.reader = 'kpi-service'
                        AND position.cluster_id = former.cluster_id AND position.topic = former.topic
                        AND position.partition = number - 1
                    WHERE coalesce(next_offset, 0) < high) AS is_stored,
                    log_ends_at IS NULL OR log_ends_at > $1::timestamptz OR (cluster_id, topic) IS DISTINCT FROM ($3, $4)
                        OR EXISTS (SELECT FROM unnest(log_ends, $5::bigint[]) AS each (before, now)
                            WHERE coalesce(now, -1) < before) AS is_other
                FROM alert_evaluation AS former WHERE id
            ), latter AS (
                SELECT CASE WHEN log_ends IS NOT NULL AND is_stored THEN log_ends_at ELSE complete_until END
                        AS complete_until,
                    $5 IS NOT NULL AND (is_stored OR is_other) AS turns
                FROM former
            )
            UPDATE alert_evaluation SET evaluated_at = $1, complete_until = latter.complete_until,
                cluster_id = CASE WHEN turns THEN $3 ELSE cluster_id END,
                topic = CASE WHEN turns THEN $4 ELSE topic END,
                log_ends = CASE WHEN turns THEN $5 ELSE log_ends END,
                log_ends_at = CASE WHEN turns THEN $2::timestamptz ELSE log_ends_at END
            FROM latter WHERE id RETURNING (extract(epoch FROM latter.complete_until) * 1000000)::bigint
            """,
            parameters: [
                .text("\(now)"), .text("\(logMoment)"), log.map { .text($0.cluster) } ?? .null,
                log.map { .text($0.topic) } ?? .null, ends.map { .text($0) } ?? .null,
            ])
        return rows.int64(0, 0).map { Timestamp(microseconds: $0) }
    }
}
