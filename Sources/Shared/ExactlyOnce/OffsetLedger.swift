import Postgres
import TradeModel

/// A reader's positions in one topic of one cluster, kept in the tables `offset_ledger` and `source_position` of the
/// database that its rows go to.
///
/// PostgreSQL decides who owns a partition; the consumer group is only a hint. See docs/decisions/0003-offset-ledger.md
/// and 0005-source-marks.md.
package struct OffsetLedger: Sendable {
    /// The reader's name: each reader has positions of its own.
    package let reader: String
    package let topic: String
    /// The cluster's id, as its brokers tell it.
    package let cluster: String
    /// Whether a cluster that this reader has never seen may be begun, although it has rows from another.
    package let acceptsNewCluster: Bool

    package init(reader: String, topic: String, cluster: String, acceptsNewCluster: Bool) {
        self.reader = reader
        self.topic = topic
        self.cluster = cluster
        self.acceptsNewCluster = acceptsNewCluster
    }

    /// Claims partitions, in a transaction of its own: raises their epochs and answers where to go on, and how far each
    /// source has come there.
    ///
    /// It waits behind a transaction that is still committing, so what it answers is never out of date.
    /// - Parameter firstOffset: asked for the log's first offset when a partition has never been claimed before.
    /// - Throws: `PostgresError`, `LedgerError`, or what `firstOffset` throws.
    package func claim(
        _ partitions: [Int32], _ connection: inout PostgresConnection, firstOffset: (Int32) throws -> Int64
    ) throws -> [Claim] {
        if let partition = partitions.first(where: { !RowID.partitions.contains($0) }) {
            throw LedgerError.partitionOutOfRange(partition)
        }
        try connection.begin()
        let log = try findLog(&connection)
        var claims: [Claim] = []
        for partition in partitions.sorted() {
            if let claim = try raiseEpoch(partition, log, &connection) {
                claims.append(claim)
            } else {
                let start = try firstOffset(partition)
                claims.append(try insert(partition, log, start, &connection))
            }
        }
        // Only now, when nobody else can change them any more.
        let marks = try marks(of: partitions, log, &connection)
        try connection.commit()
        for index in claims.indices { claims[index].marks = marks[claims[index].partition] ?? [] }
        return claims
    }

    /// Moves the positions on, and the sources' marks of those that move, as the last statement of the transaction that
    /// stored the rows.
    /// - Throws: `LedgerError.fenced` when any of the partitions has been claimed since; the caller rolls back.
    package func advance(_ advances: [Advance], _ connection: inout PostgresConnection) throws {
        let ordered = advances.sorted { $0.claim.partition < $1.claim.partition }
        let sources = BinaryArray(of: .text)
        var partitions: [Int32] = []
        var sequences: [Int64] = []
        for advance in ordered {
            for mark in advance.marks {
                partitions.append(advance.claim.partition)
                mark.source.withBytes { sources.elements.bytes($0) }
                sequences.append(mark.sequence)
            }
        }
        // Positions are locked in the order in which claims lock them, and marks behind their positions: so nobody waits
        // in a circle.
        let result = try connection.query(
            """
            WITH mine AS (
                SELECT ledger.log_id, ledger.partition, batch.next
                FROM unnest($2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
                    AS batch (log_id, partition, epoch, first, next)
                JOIN offset_ledger AS ledger ON ledger.reader = $1 AND ledger.log_id = batch.log_id
                    AND ledger.partition = batch.partition
                    AND ledger.epoch = batch.epoch AND ledger.next_offset = batch.first
                ORDER BY ledger.partition
                FOR NO KEY UPDATE OF ledger
            ), moved AS (
                UPDATE offset_ledger AS ledger
                SET next_offset = mine.next, updated_at = clock_timestamp()
                FROM mine
                WHERE ledger.reader = $1 AND ledger.log_id = mine.log_id AND ledger.partition = mine.partition
                RETURNING ledger.log_id, ledger.partition
            ), raised AS (
                INSERT INTO source_position (reader, log_id, partition, source, sequence)
                SELECT $1, moved.log_id, moved.partition, mark.source, mark.sequence
                FROM moved JOIN unnest($7::int[], $8::text[], $9::bigint[]) AS mark (partition, source, sequence)
                    USING (partition)
                ORDER BY moved.partition, mark.source
                ON CONFLICT (reader, log_id, partition, source) DO UPDATE SET sequence = excluded.sequence
            )
            SELECT partition FROM moved
            """,
            parameters: [
                .text(reader), Self.array(ordered.map(\.claim.log)), Self.array(ordered.map(\.claim.partition)),
                Self.array(ordered.map(\.claim.epoch)), Self.array(ordered.map(\.from)), Self.array(ordered.map(\.to)),
                Self.array(partitions), .array(sources), Self.array(sequences),
            ])
        guard result.rowCount == ordered.count else {
            let moved = Set((0..<result.rowCount).compactMap { result.int64($0, 0) })
            throw LedgerError.fenced(
                partitions: ordered.map(\.claim.partition).filter { !moved.contains(Int64($0)) })
        }
    }

    private static func array(_ numbers: [some BinaryInteger]) -> PostgresParameter {
        .text("{\(numbers.map { "\($0)" }.joined(separator: ","))}")
    }

    private func findLog(_ connection: inout PostgresConnection) throws -> Int32 {
        if let log = try knownLog(&connection), try hasPositions(log: log, &connection) { return log }
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
        let made = try connection.query(
            """
            INSERT INTO topic_log (log_id, cluster_id, topic)
            SELECT coalesce(max(log_id), 0) + 1, $1, $2 FROM topic_log HAVING coalesce(max(log_id), 0) < 4095
            RETURNING log_id
            """, parameters: [.text(cluster), .text(topic)])
        guard made.rowCount == 1, let log = made.int64(0, 0) else { throw LedgerError.tooManyLogs }
        return Int32(log)
    }

    private func knownLog(_ connection: inout PostgresConnection) throws -> Int32? {
        let known = try connection.query(
            "SELECT log_id FROM topic_log WHERE cluster_id = $1 AND topic = $2",
            parameters: [.text(cluster), .text(topic)])
        return known.rowCount == 0 ? nil : known.int64(0, 0).map { Int32($0) }
    }

    private func hasPositions(log: Int32, _ connection: inout PostgresConnection) throws -> Bool {
        let found = try connection.query(
            "SELECT 1 FROM offset_ledger WHERE reader = $1 AND log_id = $2 LIMIT 1",
            parameters: [.text(reader), .integer(Int64(log))])
        return found.rowCount > 0
    }

    private func raiseEpoch(
        _ partition: Int32, _ log: Int32, _ connection: inout PostgresConnection
    ) throws -> Claim? {
        let result = try connection.query(
            """
            UPDATE offset_ledger
            SET epoch = epoch + 1, owner_pid = pg_backend_pid(), updated_at = clock_timestamp()
            WHERE reader = $1 AND log_id = $2 AND partition = $3
            RETURNING epoch, next_offset
            """, parameters: [.text(reader), .integer(Int64(log)), .integer(Int64(partition))])
        return result.rowCount == 0 ? nil : Self.claim(partition, log, result)
    }

    private func insert(
        _ partition: Int32, _ log: Int32, _ start: Int64, _ connection: inout PostgresConnection
    ) throws -> Claim {
        let result = try connection.query(
            """
            INSERT INTO offset_ledger AS ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
            VALUES ($1, $2, $3, 1, $4, pg_backend_pid())
            ON CONFLICT (reader, log_id, partition) DO UPDATE
            SET epoch = ledger.epoch + 1, owner_pid = pg_backend_pid(), updated_at = clock_timestamp()
            RETURNING epoch, next_offset
            """,
            parameters: [.text(reader), .integer(Int64(log)), .integer(Int64(partition)), .integer(start)])
        return Self.claim(partition, log, result)
    }

    private func marks(
        of partitions: [Int32], _ log: Int32, _ connection: inout PostgresConnection
    ) throws -> [Int32: [SourceMark]] {
        let rows = try connection.query(
            """
            SELECT partition, source, sequence FROM source_position
            WHERE reader = $1 AND log_id = $2 AND partition = ANY ($3::int[])
            """, parameters: [.text(reader), .integer(Int64(log)), Self.array(partitions)])
        var marks: [Int32: [SourceMark]] = [:]
        for row in 0..<rows.rowCount {
            // No column is NULL; a name that is too long is none that a record can have.
            guard let source = ShortText(rows.string(row, 1)!) else { continue }
            marks[Int32(rows.int64(row, 0)!), default: []]
                .append(SourceMark(source: source, sequence: rows.int64(row, 2)!))
        }
        return marks
    }

    private static func claim(_ partition: Int32, _ log: Int32, _ row: borrowing PostgresResult) -> Claim {
        // Both columns are NOT NULL.
        Claim(partition: partition, log: log, epoch: row.int64(0, 0)!, nextOffset: row.int64(0, 1)!)
    }
}
