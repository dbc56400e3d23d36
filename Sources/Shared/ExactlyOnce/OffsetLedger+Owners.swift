import Postgres

extension OffsetLedger {
    /// The sessions that claimed these partitions last. Waits for no lock.
    func owners(of partitions: [Int32], _ connection: inout PostgresConnection) throws -> [DatabaseSession] {
        let rows = try connection.query(
            """
            SELECT DISTINCT owner_pid, owner_started
            FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE reader = $1 AND cluster_id = $2 AND topic = $3 AND partition = ANY ($4::int[])
                AND owner_started IS NOT NULL
            """, parameters: [.text(reader), .text(cluster), .text(topic), Self.array(partitions)])
        return (0..<rows.rowCount).map { DatabaseSession(pid: rows.int64($0, 0)!, started: rows.string($0, 1)!) }
    }

    /// Those of the sessions that are in a transaction now, with its beginning.
    func busy(
        _ sessions: [DatabaseSession], _ connection: inout PostgresConnection
    ) throws -> [DatabaseSession] {
        guard !sessions.isEmpty else { return [] }
        let rows = try connection.query(
            """
            SELECT former.pid, former.started, activity.xact_start FROM \(Self.matching)
            """, parameters: Self.parameters(sessions))
        return (0..<rows.rowCount).map {
            DatabaseSession(pid: rows.int64($0, 0)!, started: rows.string($0, 1)!, transaction: rows.string($0, 2)!)
        }
    }

    /// Ends those of the sessions that are in the same transaction still: it can store nothing any more, but holds locks on
    /// rows and keys that the new owner waits for. What it was committing is then either done or undone.
    /// - Returns: how many were ended.
    func end(_ sessions: [DatabaseSession], _ connection: inout PostgresConnection) throws -> Int {
        guard !sessions.isEmpty else { return 0 }
        return try connection.query(
            """
            SELECT pg_terminate_backend(activity.pid) FROM \(Self.matching)
                AND activity.xact_start = former.transaction::timestamptz
            """, parameters: Self.parameters(sessions)
        ).rowCount
    }

    /// Of the same user, under the same name: behind a pooler a session may be doing others' work by now.
    private static let matching = """
        (SELECT DISTINCT * FROM unnest($1::int[], $2::text[], $3::text[])) AS former (pid, started, transaction)
        JOIN pg_stat_activity AS activity
            ON activity.pid = former.pid AND activity.backend_start = former.started::timestamptz
        WHERE activity.xact_start IS NOT NULL AND activity.pid <> pg_backend_pid()
            AND activity.usename = current_user AND activity.application_name = current_setting('application_name')
        """

    private static func parameters(_ sessions: [DatabaseSession]) -> [PostgresParameter] {
        let started = BinaryArray(of: .text)
        let transactions = BinaryArray(of: .text)
        for session in sessions {
            started.elements.text(session.started)
            transactions.elements.text(session.transaction ?? "")
        }
        return [array(sessions.map(\.pid)), .array(started), .array(transactions)]
    }
}
