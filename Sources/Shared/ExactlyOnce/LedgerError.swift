import Postgres

/// Why a reader may not go on.
package enum LedgerError: Error, Hashable, Sendable {
    /// Another member has claimed some of these partitions, so nothing was stored.
    case fenced(partitions: [Int32])
    /// The reader has rows of the topic, but from other clusters.
    case unknownCluster(reader: String, topic: String, cluster: String)
    /// More topics and clusters have been read than row ids have room for.
    case tooManyLogs
    /// The partition is beyond what row ids have room for.
    case partitionOutOfRange(Int32)
}

extension LedgerError {
    /// What the database says when it fences: that of `OffsetLedger.advance`, and nil of any other error.
    package init?(fencing error: PostgresError) {
        guard error.sqlState == "TS001", let partitions = error.detail else { return nil }
        self = .fenced(partitions: partitions.dropFirst().dropLast().split(separator: ",").compactMap { Int32($0) })
    }
}

extension LedgerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .fenced(let partitions):
            "another member has claimed partition \(partitions.map(String.init).joined(separator: ", ")); nothing was "
                + "stored by this one"
        case .unknownCluster(let reader, let topic, let cluster):
            "\(reader) has rows of topic \(topic) from another Kafka cluster, and has never seen this one (\(cluster)): "
                + "check the bootstrap servers, or allow it to begin there with --accept-new-cluster, which keeps the rows"
        case .tooManyLogs:
            "the table topic_log is full: row ids have room for 4095 topics and clusters"
        case .partitionOutOfRange(let partition):
            "partition \(partition) cannot be stored: row ids have room for partitions 0 to 2047"
        }
    }
}
