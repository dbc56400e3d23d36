import ServiceKit

/// What a reader counts, under names that are the same for all readers, with the topic as a label.
package final class TopicReaderMetrics: Sendable {
    let recordsRead: Counter
    let recordsStored: Counter
    let recordsResent: Counter
    let batches: Counter
    let recoveries: Counter
    let commitTime: ServiceKit.Histogram
    let batchRecords: Gauge
    let assignedPartitions: Gauge
    let haltedPartitions: Gauge
    /// What keeps the reader from its work.
    package let health = Health()
    private let registry: MetricsRegistry
    private let topic: String

    package init(_ registry: MetricsRegistry, topic: String) {
        self.registry = registry
        self.topic = topic
        let labels: MetricsRegistry.Labels = ["topic": topic]
        recordsRead = registry.counter("records_read_total", "Records read from the topic", labels)
        recordsStored = registry.counter("records_stored_total", "Records stored by a committed transaction", labels)
        recordsResent = registry.counter(
            "records_resent_total", "Records that had been stored before and were skipped", labels)
        batches = registry.counter("batches_committed_total", "Transactions committed", labels)
        recoveries = registry.counter(
            "recoveries_total", "Times that everything in memory was dropped and claimed anew", labels)
        commitTime = registry.histogram("transaction_seconds", "Time from begin to the commit's answer", labels)
        assignedPartitions = registry.gauge("assigned_partitions", "Partitions that this member owns now", labels)
        batchRecords = registry.gauge("batch_records", "Records in the transaction that was begun last", labels)
        haltedPartitions = registry.gauge(
            "halted_partitions", "Assigned partitions that are not read until they are reset", labels)
        health.require("partitions") { [assignedPartitions, haltedPartitions] in
            if haltedPartitions.value > 0 {
                return "\(haltedPartitions.value) halted: 'consumer ledger show' says why, and what to do"
            }
            return assignedPartitions.value > 0 ? nil : "none is claimed: waiting for Kafka, the group or the database"
        }
    }

    /// The position of a partition: everything below is stored.
    func nextOffset(_ partition: Int32) -> Gauge {
        registry.gauge(
            "ledger_next_offset", "Offset of the next record to store",
            ["topic": topic, "partition": String(partition)])
    }

    /// How many records of a partition are in the topic and not stored.
    func lag(_ partition: Int32) -> Gauge {
        registry.gauge(
            "lag_records", "Records in the topic that are not stored yet",
            ["topic": topic, "partition": String(partition)])
    }

    /// 1 while a partition is not read.
    func halted(_ partition: Int32) -> Gauge {
        registry.gauge(
            "partition_halted", "1 while the partition is not read, since its log cannot be what it was",
            ["topic": topic, "partition": String(partition)])
    }
}
