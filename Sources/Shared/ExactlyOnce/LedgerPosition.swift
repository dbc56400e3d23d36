import Postgres

/// Where a reader stands in a partition, as an operator sees it: of the rows that it has there, that of the greatest
/// generation.
package struct LedgerPosition: Hashable, Sendable {
    package let reader: String
    package let topic: String
    package let cluster: String
    /// The topic in the cluster and generation, as the table `topic_log` numbers it.
    package internal(set) var log: Int32
    package internal(set) var generation: Int32
    package let partition: Int32
    package internal(set) var nextOffset: Int64
    package internal(set) var epoch: Int64
    /// The process that claimed the partition last; nil where none has said its name.
    package let owner: String?
    /// When the row was changed last: RFC 3339, UTC.
    package let updatedAt: String
    /// Why the partition is not read on; nil when it is read.
    package internal(set) var fault: String?
}

extension LedgerPosition {
    /// Which positions are meant: nil means all.
    package struct Selection: Sendable {
        package var reader: String?
        package var cluster: String?
        package var topic: String?
        package var partition: Int32?

        package init(reader: String? = nil, cluster: String? = nil, topic: String? = nil, partition: Int32? = nil) {
            self.reader = reader
            self.cluster = cluster
            self.topic = topic
            self.partition = partition
        }

        /// The condition on `offset_ledger JOIN topic_log` for `parameters`.
        static let condition = """
            ($1::text IS NULL OR reader = $1) AND ($2::text IS NULL OR cluster_id = $2)
            AND ($3::text IS NULL OR topic = $3) AND ($4::int IS NULL OR partition = $4)
            """

        var parameters: [PostgresParameter] {
            [
                reader.map { .text($0) } ?? .null, cluster.map { .text($0) } ?? .null, topic.map { .text($0) } ?? .null,
                partition.map { .integer(Int64($0)) } ?? .null,
            ]
        }
    }

    /// The positions selected, in the order of topics, clusters, readers and partitions.
    package static func current(
        _ selection: Selection, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [LedgerPosition] {
        let rows = try connection.query(
            """
            SELECT DISTINCT ON (topic, cluster_id, reader, partition)
                reader, topic, cluster_id, log_id, generation, partition, next_offset, epoch, owner,
                to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), fault
            FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE \(Selection.condition)
            ORDER BY topic, cluster_id, reader, partition, generation DESC
            """, parameters: selection.parameters)
        // Only owner and fault may be NULL.
        return (0..<rows.rowCount).map { row in
            LedgerPosition(
                reader: rows.string(row, 0)!, topic: rows.string(row, 1)!, cluster: rows.string(row, 2)!,
                log: Int32(rows.int64(row, 3)!), generation: Int32(rows.int64(row, 4)!),
                partition: Int32(rows.int64(row, 5)!), nextOffset: rows.int64(row, 6)!, epoch: rows.int64(row, 7)!,
                owner: rows.string(row, 8), updatedAt: rows.string(row, 9)!, fault: rows.string(row, 10))
        }
    }
}
