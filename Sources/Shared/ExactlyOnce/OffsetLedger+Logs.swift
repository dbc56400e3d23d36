import Postgres

extension OffsetLedger {
    /// The number of the log in which partitions that are new begin.
    func findLog(_ connection: inout PostgresConnection) throws -> Int32 {
        if let log = try knownLog(&connection), try hasPositions(&connection) { return log }
        // Rare, so one at a time: the first claim in a cluster makes the log's number, or sees another's.
        try connection.execute("SELECT pg_advisory_xact_lock(hashtext('tickstream.topic_log'))")
        let readsElsewhere = try connection.query(
            """
            SELECT 1 FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE reader = $1 AND topic = $2 AND cluster_id <> $3
                AND NOT EXISTS (SELECT 1 FROM offset_ledger JOIN topic_log USING (log_id)
                                WHERE reader = $1 AND topic = $2 AND cluster_id = $3)
            LIMIT 1
            """, parameters: [.text(reader), .text(topic), .text(cluster)])
        if readsElsewhere.rowCount > 0, !acceptsNewCluster {
            throw LedgerError.unknownCluster(reader: reader, topic: topic, cluster: cluster)
        }
        if let log = try knownLog(&connection) { return log }
        return try Self.makeLog(cluster: cluster, topic: topic, generation: 1, &connection)
    }

    /// Gives a generation of a topic its number, under the lock that the caller has taken.
    static func makeLog(
        cluster: String, topic: String, generation: Int32, _ connection: inout PostgresConnection
    ) throws -> Int32 {
        let made = try connection.query(
            """
            INSERT INTO topic_log (log_id, cluster_id, topic, generation)
            SELECT coalesce(max(log_id), 0) + 1, $1, $2, $3 FROM topic_log HAVING coalesce(max(log_id), 0) < 4095
            RETURNING log_id
            """, parameters: [.text(cluster), .text(topic), .integer(Int64(generation))])
        guard made.rowCount == 1, let log = made.int64(0, 0) else { throw LedgerError.tooManyLogs }
        return Int32(log)
    }

    private func knownLog(_ connection: inout PostgresConnection) throws -> Int32? {
        let known = try connection.query(
            "SELECT log_id FROM topic_log WHERE cluster_id = $1 AND topic = $2 ORDER BY generation DESC LIMIT 1",
            parameters: [.text(cluster), .text(topic)])
        return known.rowCount == 0 ? nil : known.int64(0, 0).map { Int32($0) }
    }

    private func hasPositions(_ connection: inout PostgresConnection) throws -> Bool {
        let found = try connection.query(
            """
            SELECT 1 FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE reader = $1 AND cluster_id = $2 AND topic = $3 LIMIT 1
            """, parameters: [.text(reader), .text(cluster), .text(topic)])
        return found.rowCount > 0
    }
}
