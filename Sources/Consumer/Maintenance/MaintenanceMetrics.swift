import ServiceKit

/// What is told of one table's partitions.
struct MaintenanceMetrics: Sendable {
    let partitions: Gauge
    let defaultRows: Gauge
    let made: Counter
    let dropped: Counter
    let moved: Counter
    let trimmed: Counter
    let lastSuccess: Gauge

    init(_ registry: MetricsRegistry, table: String) {
        let labels: MetricsRegistry.Labels = ["table": table]
        partitions = registry.gauge("partitions", "Partitions of days", labels)
        defaultRows = registry.gauge(
            "default_partition_rows", "Rows in the default partition: odd times, or days without a partition", labels)
        made = registry.counter("partitions_made_total", "Partitions that this process made", labels)
        dropped = registry.counter("partitions_dropped_total", "Partitions that this process dropped", labels)
        moved = registry.counter(
            "default_partition_rows_moved_total", "Rows moved from the default partition to that of their day", labels)
        trimmed = registry.counter(
            "default_partition_rows_deleted_total", "Rows deleted from the default partition since their time was over",
            labels)
        lastSuccess = registry.gauge(
            "maintenance_last_success_seconds", "When the partitions were last found or made right, in Unix time",
            labels)
    }
}
