import WebSocket

/// Serves `/metrics` for Prometheus, `/healthz` (the process answers) and `/readyz` (it can do its work, else 503 with one
/// problem a line).
package final class MonitoringService: Service {
    package let name = "monitoring"
    /// Where it listens, with the port that it got.
    package let address: ListenAddress
    private let server: HTTPServer
    private let logger: Logger

    /// The setting that says where; nil for nowhere.
    package static func listenSetting(default address: String) -> Setting<ListenAddress?> {
        Setting(
            "monitoring-listen", default: address,
            help: "Where /metrics, /healthz and /readyz are served, as host:port (port 0 takes any); off for nowhere.")
    }

    /// Listens at once, so that an address that is taken is known before anything else starts.
    ///
    /// `metrics` and `health` are asked on the service's thread at each request; what they read must not block.
    /// - Throws: `WebSocketError` when the address is taken or is none of this machine.
    package init(
        on address: ListenAddress, metrics: MetricsRegistry, health: Health, logger: Logger
    ) throws(WebSocketError) {
        server = try HTTPServer(address: address.host, port: address.port) { path in
            switch path {
            case "/metrics":
                HTTPResponse(
                    status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", text: metrics.render())
            case "/healthz": HTTPResponse(status: 200, text: "ok\n")
            case "/readyz": Self.readiness(health.problems)
            default: nil
            }
        }
        self.address = ListenAddress(host: address.host, port: server.port)
        self.logger = logger
    }

    package func run(until shutdown: ShutdownSignal) {
        shutdown.onRequest { [server] in server.stop() }
        logger.info("monitoring listens", ["http.address": address])
        server.run()
    }

    private static func readiness(_ problems: [String]) -> HTTPResponse {
        guard !problems.isEmpty else { return HTTPResponse(status: 200, text: "ready\n") }
        return HTTPResponse(status: 503, text: problems.map { $0 + "\n" }.joined())
    }
}
