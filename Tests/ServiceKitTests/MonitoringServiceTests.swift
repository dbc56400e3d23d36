import Foundation
import FoundationNetworking
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct MonitoringServiceTests {
    private static let anyPort = ListenAddress(host: "127.0.0.1", port: 0)

    /// What a service answers to a path.
    private struct Answer {
        var status: Int
        var contentType: String?
        var body: String
    }

    private static func get(_ path: String, _ service: MonitoringService) async throws -> Answer {
        let url = try #require(URL(string: "http://\(service.address)\(path)"))
        let (data, response) = try await URLSession(configuration: .ephemeral).data(from: url)
        let http = try #require(response as? HTTPURLResponse)
        return Answer(
            status: http.statusCode, contentType: http.value(forHTTPHeaderField: "Content-Type"),
            body: String(decoding: data, as: UTF8.self))
    }

    /// Runs a service for the length of the body.
    private static func withService(
        metrics: MetricsRegistry = MetricsRegistry(), health: Health = Health(),
        log: @escaping @Sendable (String) -> Void = { _ in }, _ body: (MonitoringService) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test", output: log)
        let service = try MonitoringService(on: anyPort, metrics: metrics, health: health, logger: logger)
        let shutdown = ShutdownSignal()
        async let end: Void = onThread { service.run(until: shutdown) }
        defer { shutdown.request() }
        try await body(service)
        shutdown.request()
        try await end
    }

    @Test func `metrics are served in Prometheus' format`() async throws {
        let metrics = MetricsRegistry()
        metrics.addProcessMetrics()
        let counter = metrics.counter("trades_total", "Trades.", ["symbol": "BINANCE:BTCUSDT"])
        try await Self.withService(metrics: metrics) { service in
            for count in 0..<3 {
                let answer = try await Self.get("/metrics", service)
                #expect(answer.status == 200)
                #expect(answer.contentType == "text/plain; version=0.0.4; charset=utf-8")
                let text = try PrometheusText(answer.body)
                #expect(text.value("trades_total", ["symbol": "BINANCE:BTCUSDT"]) == Double(count))
                counter.increment()
            }
        }
    }

    @Test func `more metrics than one packet holds come whole`() async throws {
        let metrics = MetricsRegistry()
        for index in 0..<200 {
            metrics.gauge("size_\(index)_bytes", String(repeating: "x", count: 3000)).set(Int64(index))
        }
        try await Self.withService(metrics: metrics) { service in
            let answer = try await Self.get("/metrics", service)
            #expect(answer.body == metrics.render())
        }
    }

    @Test func `a program is alive whatever its problems, and ready without any`() async throws {
        let health = Health()
        let isConnected = Mutex(false)
        health.require("feed") { isConnected.withLock { $0 } ? nil : "not connected" }
        health.require("postgres") { isConnected.withLock { $0 } ? nil : "no route\nto host" }
        try await Self.withService(health: health) { service in
            let unready = try await Self.get("/readyz", service)
            #expect(unready.status == 503)
            #expect(unready.body == "feed: not connected\npostgres: no route to host\n")
            let alive = try await Self.get("/healthz", service)
            #expect(alive.status == 200)
            #expect(alive.body == "ok\n")
            isConnected.withLock { $0 = true }
            let ready = try await Self.get("/readyz", service)
            #expect(ready.status == 200)
            #expect(ready.body == "ready\n")
        }
    }

    @Test(arguments: ["/", "/metrics/", "/metricsx", "/Metrics"])
    func `other paths are not found`(path: String) async throws {
        try await Self.withService { service in
            let answer = try await Self.get(path, service)
            #expect(answer.status == 404)
        }
    }

    @Test func `the port that it got is logged`() async throws {
        let lines = Mutex<[String]>([])
        try await Self.withService(log: { line in lines.withLock { $0.append(line) } }) { service in
            #expect(service.address.port != 0)
            _ = try await Self.get("/healthz", service)
            #expect(
                lines.withLock { $0 }.first?.hasSuffix("monitoring listens http.address=\(service.address)\n") == true)
        }
    }

    @Test func `an address that is taken is an error before anything runs`() throws {
        let logger = Logger(label: "test") { _ in }
        let first = try MonitoringService(
            on: Self.anyPort, metrics: MetricsRegistry(), health: Health(), logger: logger)
        let error = #expect(throws: WebSocketError.self) {
            _ = try MonitoringService(
                on: first.address, metrics: MetricsRegistry(), health: Health(), logger: logger)
        }
        #expect(error?.code == .cannotListen)
        #expect(error?.message.contains("\(first.address.port)") == true)
    }

    @Test func `a stop that comes before the start holds`() async throws {
        let service = try MonitoringService(
            on: Self.anyPort, metrics: MetricsRegistry(), health: Health(), logger: Logger(label: "test") { _ in })
        let shutdown = ShutdownSignal()
        shutdown.request()
        try await onThread { service.run(until: shutdown) }
    }

    @Test func `a group starts it and stops it`() async throws {
        let service = try MonitoringService(
            on: Self.anyPort, metrics: MetricsRegistry(), health: Health(), logger: Logger(label: "test") { _ in })
        let isDone = ConditionLock(false)
        let work = Work { isDone.wait { $0 ? () : nil } }
        async let end: Void = onThread {
            try ServiceGroup([service, work], logger: Logger(label: "test") { _ in }, stopDeadline: hangLimit).run()
        }
        defer { isDone.withLock { $0 = true } }
        #expect(try await Self.get("/healthz", service).status == 200)
        isDone.withLock { $0 = true }
        try await end
    }

    private struct Work: Service {
        let name = "work"
        let body: @Sendable () -> Void
        func run(until shutdown: ShutdownSignal) { body() }
    }
}
