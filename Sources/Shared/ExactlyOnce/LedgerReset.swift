import Postgres

/// A position that an operator has moved.
///
/// Forward, the row stays, and what is skipped is written down in `feed_event`. Backward, or to where it is, offsets may
/// mean other records than before: the reader goes on in the next generation of the log, whose row ids collide with none,
/// and takes the marks of its sources along, so that what it has stored is known when it comes again.
package struct LedgerReset: Hashable, Sendable {
    package let before: LedgerPosition
    package let after: LedgerPosition

    /// How many records the reader will never see.
    package var skipped: Int64 { max(0, after.nextOffset - before.nextOffset) }

    /// Moves the current positions selected, inside the caller's transaction: a reader that owns one of them stores nothing
    /// more, and claims it anew.
    ///
    /// It waits for the readers' transactions under way, and holds them up until the caller commits or rolls back.
    /// - Parameter target: answers where to go on; asked when the position can no longer move.
    /// - Throws: `PostgresError`, `LedgerError.tooManyLogs`, or what `target` throws.
    package static func apply(
        _ selection: LedgerPosition.Selection, _ connection: inout PostgresConnection,
        target: (LedgerPosition) throws -> Int64
    ) throws -> [LedgerReset] {
        // In the order of claims: first the lock under which logs are made, then the rows, partition by partition.
        try connection.execute("SELECT pg_advisory_xact_lock(hashtext('tickstream.topic_log'))")
        try connection.execute(
            """
            SELECT FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE \(LedgerPosition.Selection.condition)
            ORDER BY reader, log_id, partition FOR NO KEY UPDATE OF offset_ledger
            """, parameters: selection.parameters)
        let moves = try LedgerPosition.current(selection, &connection).map { (position: $0, offset: try target($0)) }
        let back = moves.filter { $0.offset <= $0.position.nextOffset }.map(\.position)
        let generations = try nextGenerations(of: back, selection, &connection)
        let resets = try moves.map { position, offset in
            offset > position.nextOffset
                ? try moveForward(position, to: offset, &connection)
                : try beginAnew(position, at: offset, generations[Place(position)]!, &connection)
        }
        let skipping = Dictionary(grouping: resets.filter { $0.skipped > 0 }) { $0.after.log }
        for log in skipping.values {
            for partition in Dictionary(grouping: log, by: \.after.partition).values {
                try writeDown(partition, &connection)
            }
        }
        return resets
    }

    private static func moveForward(
        _ position: LedgerPosition, to offset: Int64, _ connection: inout PostgresConnection
    ) throws -> LedgerReset {
        try fence(position, nextOffset: offset, &connection)
        return LedgerReset(position, log: position.log, generation: position.generation, nextOffset: offset)
    }

    private static func beginAnew(
        _ position: LedgerPosition, at offset: Int64, _ generation: Int32, _ connection: inout PostgresConnection
    ) throws -> LedgerReset {
        try fence(position, nextOffset: position.nextOffset, &connection)
        let log = try log(of: position, generation, &connection)
        let place: [PostgresParameter] = [
            .text(position.reader), .integer(Int64(position.log)), .integer(Int64(position.partition)),
            .integer(Int64(log)),
        ]
        try connection.execute(
            """
            INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid, owner, owner_started)
            SELECT reader, $4, partition, epoch, $5, owner_pid, owner, owner_started FROM offset_ledger
            WHERE reader = $1 AND log_id = $2 AND partition = $3
            """, parameters: place + [.integer(offset)])
        try connection.execute(
            """
            INSERT INTO source_position (reader, log_id, partition, source, sequence)
            SELECT reader, $4, partition, source, sequence FROM source_position
            WHERE reader = $1 AND log_id = $2 AND partition = $3
            """, parameters: place)
        return LedgerReset(position, log: log, generation: generation, nextOffset: offset)
    }

    private init(_ before: LedgerPosition, log: Int32, generation: Int32, nextOffset: Int64) {
        self.before = before
        var after = before
        after.log = log
        after.generation = generation
        after.nextOffset = nextOffset
        after.epoch += 1
        after.fault = nil
        self.after = after
    }

    private static func fence(
        _ position: LedgerPosition, nextOffset: Int64, _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        try connection.execute(
            """
            UPDATE offset_ledger
            SET epoch = epoch + 1, next_offset = $4, anchor = NULL, fault = NULL, updated_at = clock_timestamp()
            WHERE reader = $1 AND log_id = $2 AND partition = $3
            """,
            parameters: [
                .text(position.reader), .integer(Int64(position.log)), .integer(Int64(position.partition)),
                .integer(nextOffset),
            ])
    }

    private struct Place: Hashable {
        let cluster: String
        let topic: String
        let partition: Int32

        init(_ position: LedgerPosition) {
            (cluster, topic, partition) = (position.cluster, position.topic, position.partition)
        }
    }

    /// The generation in which readers go on in each place: behind those in which they were, and the same for all readers
    /// of the place, since a record is to have one id; so one that comes later joins the others.
    private static func nextGenerations(
        of positions: [LedgerPosition], _ selection: LedgerPosition.Selection, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [Place: Int32] {
        var ofAllReaders = selection
        ofAllReaders.reader = nil
        let known = try LedgerPosition.current(ofAllReaders, &connection).map { (Place($0), $0.generation) }
        let next = positions.map { (Place($0), $0.generation + 1) }
        return Dictionary(known + next, uniquingKeysWith: max)
    }

    /// A generation's log, which another reader or partition may have begun already.
    private static func log(
        of position: LedgerPosition, _ generation: Int32, _ connection: inout PostgresConnection
    ) throws -> Int32 {
        let known = try connection.query(
            "SELECT log_id FROM topic_log WHERE cluster_id = $1 AND topic = $2 AND generation = $3",
            parameters: [.text(position.cluster), .text(position.topic), .integer(Int64(generation))])
        if let number = known.int64(0, 0) { return Int32(number) }
        return try OffsetLedger.makeLog(
            cluster: position.cluster, topic: position.topic, generation: generation, &connection)
    }

    /// Writes down what readers skip of one partition: each record once, however many readers skip it, together or one by
    /// one, and what is known to be lost not again.
    private static func writeDown(
        _ resets: [LedgerReset], _ connection: inout PostgresConnection
    ) throws(PostgresError) {
        guard var first = resets.map(\.before.nextOffset).min(), let end = resets.map(\.after.nextOffset).max(),
            let place = resets.first?.after
        else { return }
        func id(_ offset: Int64) -> PostgresParameter {
            .integer(RowID.of(log: place.log, partition: place.partition, offset: offset))
        }
        while let known = try connection.query(
            """
            SELECT max((details->>'next_offset')::bigint) FROM feed_event
            WHERE kind IN ('records_lost', 'records_skipped') AND id BETWEEN $1 AND $2
            """, parameters: [id(0), id(first)]
        ).int64(0, 0), known > first { first = known }
        guard first < end else { return }
        let readers = resets.map { "\($0.before.reader) from offset \($0.before.nextOffset)" }.joined(separator: ", ")
        // A record that is skipped has no row of its own, so its origin is free to be the event's.
        try connection.execute(
            """
            INSERT INTO feed_event (id, at, source, sequence, kind, cause, details, kafka_partition, kafka_offset)
            VALUES ($1, clock_timestamp(), 'ledger reset', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                'records_skipped', $2,
                jsonb_build_object('topic', $3::text, 'first_offset', $5::bigint, 'next_offset', $6::bigint), $4, $5)
            """,
            parameters: [
                id(first),
                .text("an operator moved readers of \(place.topic) [\(place.partition)] to offset \(end): \(readers)"),
                .text(place.topic), .integer(Int64(place.partition)), .integer(first), .integer(end),
            ])
    }
}
