import Postgres

extension OffsetLedger {
    /// Writes down, in a transaction of its own, why a claimed partition is not read on: it stays so until it is reset.
    /// Records that are lost are told in `feed_event`, once.
    /// - Parameter position: the offset of the record that should have come.
    /// - Returns: the reason; nil when somebody else has claimed the partition meanwhile, who will see for himself.
    package func halt(
        _ claim: Claim, at position: Int64, _ fault: LogFault, _ connection: inout PostgresConnection
    ) throws -> HaltedPartition? {
        let reason = fault.explanation(topic: topic, partition: claim.partition, position: position)
        try connection.begin(limits: .claim)
        let changed = try connection.execute(
            """
            UPDATE offset_ledger SET fault = $5, updated_at = clock_timestamp()
            WHERE reader = $1 AND log_id = $2 AND partition = $3 AND epoch = $4
            """,
            parameters: [
                .text(reader), .integer(Int64(claim.log)), .integer(Int64(claim.partition)), .integer(claim.epoch),
                .text(reason),
            ])
        if changed == 1, let end = fault.lost(from: position) {
            try tellLoss(claim, position..<end, reason, &connection)
        }
        try connection.commit()
        return changed == 1 ? HaltedPartition(partition: claim.partition, reason: reason) : nil
    }

    private func tellLoss(
        _ claim: Claim, _ offsets: Range<Int64>, _ reason: String, _ connection: inout PostgresConnection
    ) throws {
        // A record that is lost has no row of its own, so its origin is free to be the event's.
        let id = RowID.of(log: claim.log, partition: claim.partition, offset: offsets.lowerBound)
        try connection.execute(
            """
            INSERT INTO feed_event (id, at, source, sequence, kind, cause, details, kafka_partition, kafka_offset)
            VALUES ($1, clock_timestamp(), $2, 0, 'records_lost', $3,
                jsonb_build_object('topic', $4::text, 'first_offset', $6::bigint, 'next_offset', $7::bigint), $5, $6)
            ON CONFLICT (id) DO NOTHING
            """,
            parameters: [
                .integer(id), .text(reader), .text(reason), .text(topic), .integer(Int64(claim.partition)),
                .integer(offsets.lowerBound), .integer(offsets.upperBound),
            ])
    }

    /// Which of these partitions are halted still.
    package func halted(
        among partitions: [Int32], _ connection: inout PostgresConnection
    ) throws -> Set<Int32> {
        let rows = try connection.query(
            """
            SELECT DISTINCT ON (partition) partition, fault IS NOT NULL
            FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE reader = $1 AND cluster_id = $2 AND topic = $3 AND partition = ANY ($4::int[])
            ORDER BY partition, generation DESC
            """, parameters: [.text(reader), .text(cluster), .text(topic), Self.array(partitions)])
        return Set((0..<rows.rowCount).filter { rows.bool($0, 1) == true }.map { Int32(rows.int64($0, 0)!) })
    }
}
