import ServiceKit
import Synchronization
import TestSupport
import TradeModel
import WebSocket

@testable import Producer

/// The feed's service on a thread, with a real client.
final class FeedRun: Sendable {
    private let log = Mutex<[String]>([])
    private let outcome = Mutex<Result<Void, any Error>?>(nil)
    private let topic: TestTopic

    /// - Parameter configure: changes the client's settings.
    init(
        _ topic: TestTopic, url: String, symbols: [String],
        configure: (inout WebSocketClientConfiguration) -> Void = { _ in }
    ) throws {
        self.topic = topic
        let address = try feedURL(url, token: "hidden")
        var configuration = WebSocketClientConfiguration(url: address)
        configure(&configuration)
        let logger = Logger(label: "test") { [self] line in log.withLock { $0.append(line) } }
        let service = FeedService(configuration: configuration) {
            let silence = topic.silence(of: symbols)
            // Each pause is the shortest one.
            let clock = FeedClock(random: { 0 })
            return FeedConnection(
                feed: address, symbols: symbols.map { ShortText($0)! }, token: "hidden",
                publisher: try topic.publisher(silence: silence, logger: logger), events: topic.events,
                silence: silence,
                clock: clock, logger: logger, metrics: FeedConnectionMetrics(topic.metrics, Health()))
        }
        ServiceThread.start("feed") { [self] in
            let result = Result { try service.run(until: topic.shutdown) }
            outcome.withLock { $0 = result }
        }
    }

    /// What was logged so far.
    var lines: [String] { log.withLock { $0 } }

    /// Stops the service, and waits for its end.
    func stop() async throws {
        topic.shutdown.request()
        try await eventually("the feed's service ends") { outcome.withLock { $0 != nil } }
        try outcome.withLock { $0 }!.get()
    }
}

/// Serves a feed on loopback for the length of a body, which gets its address.
func withFeed(
    _ feed: sending any WebSocketServerHandler, _ body: (String) async throws -> Void
) async throws {
    let server = try WebSocketServer(handler: feed)
    let isOver = Mutex(false)
    ServiceThread.start("server") {
        server.run()
        isOver.withLock { $0 = true }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await body("ws://127.0.0.1:\(server.port)")) } catch { result = .failure(error) }
    server.stop()
    try await eventually("the server ends") { isOver.withLock { $0 } }
    try result.get()
}
