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
    /// The records of the partition from this offset on are gone.
    case recordsGone(topic: String, partition: Int32, offset: Int64, reason: String)
    /// The partition's next record is not the one that must come next.
    case gap(topic: String, partition: Int32, expected: Int64, found: Int64)
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
        case .recordsGone(let topic, let partition, let offset, let reason):
            "the records of \(topic) [\(partition)] from offset \(offset) on are gone (\(reason)): the topic's retention "
                + "was shorter than this reader was away, or the topic was made anew; nothing was skipped silently"
        case .gap(let topic, let partition, let expected, let found):
            "\(topic) [\(partition)] goes on at offset \(found) where \(expected) must come: records are missing from the "
                + "topic; nothing was skipped silently"
        }
    }
}
