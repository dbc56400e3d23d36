import ServiceKit

/// What a reader counts, under names that are the same for all readers.
package final class TopicReaderMetrics: Sendable {
    let recordsRead: Counter
    let recordsStored: Counter
    let batches: Counter
    let recoveries: Counter
    let commitTime: ServiceKit.Histogram
    let assignedPartitions: Gauge
    /// What keeps the reader from its work.
    package let health = Health()
    private let registry: MetricsRegistry

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
        recordsRead = registry.counter("records_read_total", "Records read from the topic")
        recordsStored = registry.counter("records_stored_total", "Records stored by a committed transaction")
        batches = registry.counter("batches_committed_total", "Transactions committed")
        recoveries = registry.counter(
            "recoveries_total", "Times that everything in memory was dropped and claimed anew")
        commitTime = registry.histogram("transaction_seconds", "Time from begin to the commit's answer")
        assignedPartitions = registry.gauge("assigned_partitions", "Partitions that this member owns now")
        health.require("partitions") { [assignedPartitions] in
            assignedPartitions.value > 0 ? nil : "none is claimed: waiting for Kafka, the group or the database"
        }
    }

    /// The position of a partition: everything below is stored.
    func nextOffset(_ partition: Int32) -> Gauge {
        registry.gauge(
            "ledger_next_offset", "Offset of the next record to store", ["partition": String(partition)])
    }
}
