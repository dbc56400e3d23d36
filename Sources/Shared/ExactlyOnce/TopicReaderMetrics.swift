import ServiceKit

/// What a reader counts, under names that are the same for all readers, with the topic as a label.
package final class TopicReaderMetrics: Sendable {
    let recordsRead: Counter
    let recordsStored: Counter
    let recordsResent: Counter
    let batches: Counter
    let recoveries: Counter
    let commitTime: ServiceKit.Histogram
    let assignedPartitions: Gauge
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
        health.require("partitions") { [assignedPartitions] in
            assignedPartitions.value > 0 ? nil : "none is claimed: waiting for Kafka, the group or the database"
        }
    }

    /// The position of a partition: everything below is stored.
    func nextOffset(_ partition: Int32) -> Gauge {
        registry.gauge(
            "ledger_next_offset", "Offset of the next record to store",
            ["topic": topic, "partition": String(partition)])
    }
}
