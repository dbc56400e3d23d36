extension ServiceGroup {
    /// A group whose metrics and health are served on an address; nil serves them nowhere.
    ///
    /// Monitoring starts before the services and stops after them, so that a stop can be watched.
    /// - Throws: `WebSocketError` when the address is taken or is none of this machine.
    package convenience init(
        _ services: [any Service], monitoringOn address: ListenAddress?, metrics: MetricsRegistry, health: Health,
        logger: Logger, stopDeadline: Duration = .seconds(10)
    ) throws {
        metrics.addProcessMetrics()
        let monitoring = try address.map {
            try MonitoringService(on: $0, metrics: metrics, health: health, logger: logger)
        }
        self.init((monitoring.map { [$0] } ?? []) + services, logger: logger, stopDeadline: stopDeadline)
    }
}
