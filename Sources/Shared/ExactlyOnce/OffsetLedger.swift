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

    /// The process that claims, as `host:pid`, for those who look at the table.
    let owner = ProcessName.current

    package init(reader: String, topic: String, cluster: String, acceptsNewCluster: Bool) {
        self.reader = reader
        self.topic = topic
        self.cluster = cluster
        self.acceptsNewCluster = acceptsNewCluster
    }

    /// Claims partitions, in a transaction of its own: raises their epochs and answers where to go on, and how far each
    /// source has come there.
    ///
    /// It waits behind a transaction that is still committing, so what it answers is never out of date; but not for long,
    /// since that may be one that hangs.
    /// - Parameter firstOffset: asked for the log's first offset when a partition has never been claimed before.
    /// - Throws: `PostgresError`, which `isLockTimeout` when a former owner holds a position; `LedgerError`, or what
    ///   `firstOffset` throws.
    package func claim(
        _ partitions: [Int32], _ connection: inout PostgresConnection, firstOffset: (Int32) throws -> Int64
    ) throws -> ClaimAnswer {
        if let partition = partitions.first(where: { !RowID.partitions.contains($0) }) {
            throw LedgerError.partitionOutOfRange(partition)
        }
        try connection.begin(limits: .claim)
        let log = try findLog(&connection)
        var answer = ClaimAnswer()
        for partition in partitions.sorted() {
            if try raiseEpoch(partition, &answer, &connection) { continue }
            try insert(partition, log, firstOffset: try firstOffset(partition), &answer, &connection)
        }
        guard try isCurrent(answer, &connection) else {
            try connection.rollback()
            return try claim(partitions, &connection, firstOffset: firstOffset)
        }
        // Only now, when nobody else can change them any more.
        let marks = try marks(of: answer.claims, &connection)
        Failpoint.inClaim.reach(topic, answer.claims, &connection)
        try connection.commit()
        for index in answer.claims.indices { answer.claims[index].marks = marks[answer.claims[index].partition] ?? [] }
        return answer
    }

    /// Has the next statement, which is to be the COMMIT of the transaction that stored the rows, move the positions on
    /// before, and the sources' marks with them.
    ///
    /// Where any of the partitions has been claimed since, that statement fails with what `LedgerError(fencing:)` knows, and
    /// nothing is stored.
    package func advance(
        _ advances: [Advance], _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        connection.executeWithNextStatement("SELECT \(try call(toAdvance: advances, connection))")
    }

    /// The same as an expression for a statement that does more.
    func call(
        toAdvance advances: [Advance], _ connection: borrowing PostgresConnection
    ) throws(PostgresError) -> String {
        let ordered = advances.sorted { $0.claim.partition < $1.claim.partition }
        var positions: [String] = []
        var sources: [String] = []
        var marks: [String] = []
        for advance in ordered {
            let claim = advance.claim
            let anchor = Int64(bitPattern: advance.anchor)
            positions.append(
                "{\(claim.log),\(claim.partition),\(claim.epoch),\(advance.from),\(advance.to),\(anchor)}")
            for (source, sequence) in advance.marks.map({ ($0.source.description, $0.sequence) }).sorted(by: <) {
                sources.append(try connection.literal(source))
                marks.append("{\(claim.log),\(claim.partition),\(sequence)}")
            }
        }
        func list(_ elements: [String]) -> String { elements.joined(separator: ",") }
        return """
            advance_offset_ledger(\(try connection.literal(reader)), '{\(list(positions))}', \
            ARRAY[\(list(sources))]::text[], '{\(list(marks))}')
            """
    }

    static func array(_ numbers: [some BinaryInteger]) -> PostgresParameter {
        .text("{\(numbers.map { "\($0)" }.joined(separator: ","))}")
    }

    // MARK: Parts of a claim

    private func raiseEpoch(
        _ partition: Int32, _ answer: inout ClaimAnswer, _ connection: inout PostgresConnection
    ) throws -> Bool {
        let result = try connection.query(
            """
            WITH former AS (
                SELECT ledger.log_id, ledger.owner_pid, ledger.owner_started
                FROM offset_ledger AS ledger JOIN topic_log AS log USING (log_id)
                WHERE ledger.reader = $1 AND log.cluster_id = $2 AND log.topic = $3 AND ledger.partition = $4
                ORDER BY log.generation DESC LIMIT 1
                FOR NO KEY UPDATE OF ledger
            )
            UPDATE offset_ledger AS ledger
            SET epoch = epoch + 1, owner = $5, owner_pid = pg_backend_pid(), owner_started = \(Self.sessionStart),
                updated_at = clock_timestamp()
            FROM former
            WHERE ledger.reader = $1 AND ledger.log_id = former.log_id AND ledger.partition = $4
            RETURNING ledger.log_id, epoch, next_offset, anchor, fault, former.owner_pid, former.owner_started
            """,
            parameters: [
                .text(reader), .text(cluster), .text(topic), .integer(Int64(partition)), .text(owner),
            ])
        guard result.rowCount == 1 else { return false }
        answer.add(partition, result)
        if let started = result.string(0, 6) {
            answer.formerOwners.append(DatabaseSession(pid: result.int64(0, 5)!, started: started))
        }
        return true
    }

    private func insert(
        _ partition: Int32, _ log: Int32, firstOffset: Int64, _ answer: inout ClaimAnswer,
        _ connection: inout PostgresConnection
    ) throws {
        let result = try connection.query(
            """
            INSERT INTO offset_ledger AS ledger
                (reader, log_id, partition, epoch, next_offset, owner, owner_pid, owner_started)
            VALUES ($1, $2, $3, 1, $4, $5, pg_backend_pid(), \(Self.sessionStart))
            ON CONFLICT (reader, log_id, partition) DO UPDATE
            SET epoch = ledger.epoch + 1, owner = excluded.owner, owner_pid = excluded.owner_pid,
                owner_started = excluded.owner_started, updated_at = clock_timestamp()
            RETURNING log_id, epoch, next_offset, anchor, fault
            """,
            parameters: [
                .text(reader), .integer(Int64(log)), .integer(Int64(partition)), .integer(firstOffset), .text(owner),
            ])
        answer.add(partition, result)
    }

    /// Whether no reset has begun another generation while this claim waited for it. Now that the rows are locked, none can.
    private func isCurrent(_ answer: ClaimAnswer, _ connection: inout PostgresConnection) throws -> Bool {
        let rows = try connection.query(
            """
            SELECT DISTINCT ON (partition) partition, log_id
            FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE reader = $1 AND cluster_id = $2 AND topic = $3 AND partition = ANY ($4::int[])
            ORDER BY partition, generation DESC
            """,
            parameters: [.text(reader), .text(cluster), .text(topic), Self.array(Array(answer.logs.keys))])
        return (0..<rows.rowCount).allSatisfy {
            answer.logs[Int32(rows.int64($0, 0)!)] == rows.int64($0, 1).map { Int32($0) }
        }
    }

    private static let sessionStart = "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"

    private func marks(
        of claims: [Claim], _ connection: inout PostgresConnection
    ) throws -> [Int32: [SourceMark]] {
        let rows = try connection.query(
            """
            SELECT partition, source, sequence
            FROM source_position JOIN unnest($2::int[], $3::int[]) AS claim (log_id, partition) USING (log_id, partition)
            WHERE reader = $1
            """,
            parameters: [.text(reader), Self.array(claims.map(\.log)), Self.array(claims.map(\.partition))])
        var marks: [Int32: [SourceMark]] = [:]
        for row in 0..<rows.rowCount {
            // No column is NULL; a name that is too long is none that a record can have.
            guard let source = ShortText(rows.string(row, 1)!) else { continue }
            marks[Int32(rows.int64(row, 0)!), default: []]
                .append(SourceMark(source: source, sequence: rows.int64(row, 2)!))
        }
        return marks
    }
}

extension ClaimAnswer {
    /// Adds a row of log_id, epoch, next_offset, anchor and fault; the first three are NOT NULL.
    fileprivate mutating func add(_ partition: Int32, _ row: borrowing PostgresResult) {
        logs[partition] = Int32(row.int64(0, 0)!)
        if let reason = row.string(0, 4) {
            halted.append(HaltedPartition(partition: partition, reason: reason))
        } else {
            claims.append(
                Claim(
                    partition: partition, log: Int32(row.int64(0, 0)!), epoch: row.int64(0, 1)!,
                    nextOffset: row.int64(0, 2)!, anchor: row.int64(0, 3).map { UInt64(bitPattern: $0) }))
        }
    }
}

extension TransactionLimits {
    /// A claim waits for others' locks for a moment only: they may be those of an owner that hangs.
    static let claim = TransactionLimits(statement: .seconds(60), lock: .seconds(2), idle: .seconds(60))
    /// A server that hangs, a lock that is never released and a client that stalls must all end by themselves.
    static let batch = TransactionLimits(statement: .seconds(60), lock: .seconds(30), idle: .seconds(60))
}
