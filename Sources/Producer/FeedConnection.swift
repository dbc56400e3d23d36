import ServiceKit
import TradeModel
import WebSocket

/// The connection to the feed: subscribes on each open, publishes what comes, dials again after each end.
///
/// Everything happens on the client's loop thread.
final class FeedConnection: WebSocketClientHandler {
    private let feed: WebSocketURL
    private let symbols: [String]
    private let publisher: TradePublisher
    private let logger: Logger
    private var policy = ReconnectionPolicy()
    private var firstData: ContinuousClock.Instant?
    private var lastData: ContinuousClock.Instant?

    private let connections: Counter
    private let disconnections: Counter
    private let errors: Counter
    private let connected: Gauge

    private static let dialTimer = 1

    init(
        feed: WebSocketURL, symbols: [String], publisher: TradePublisher, logger: Logger, metrics: MetricsRegistry,
        health: Health
    ) {
        self.feed = feed
        self.symbols = symbols
        self.publisher = publisher
        self.logger = logger
        connections = metrics.counter("feed_connections_total", "Connections to the feed that were opened")
        disconnections = metrics.counter("feed_disconnections_total", "Connections and attempts that ended")
        errors = metrics.counter("feed_errors_total", "Error messages of the feed")
        connected = metrics.gauge("feed_connected", "Whether the feed is connected: 1 or 0")
        health.require("feed") { [connected] in connected.value == 1 ? nil : "not connected" }
    }

    func started(_ client: WebSocketClient) {
        client.connect()
    }

    func opened(_ client: WebSocketClient) {
        connections.increment()
        connected.set(1)
        logger.info(
            "connected to the feed", ["feed": "\(feed)", "feed.symbols": symbols.count])
        for symbol in symbols {
            var request = ByteWriter(capacity: 128)
            request.write("{\"type\":\"subscribe\",\"symbol\":")
            request.writeJSONString(symbol)
            request.write("}")
            if !client.send(request.string) {
                logger.error("a symbol was not subscribed: too many wait to be sent", ["feed.symbol": symbol])
            }
        }
    }

    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {
        switch publisher.publish(bytes) {
        case .published:
            let now = ContinuousClock.now
            if firstData == nil { firstData = now }
            lastData = now
        case .feedError(let text):
            errors.increment()
            logger.warning("the feed reports an error", ["feed.message": text])
        case nil: break
        }
    }

    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) {
        disconnections.increment()
        connected.set(0)
        if case .stopped = closure.cause { return }
        let dataFor = firstData.map { (lastData ?? $0) - $0 } ?? .zero
        (firstData, lastData) = (nil, nil)
        let pause = policy.pause(after: closure.cause, dataFor: dataFor, random: .random(in: 0..<1))
        switch closure.cause {
        case .refused(401, _), .refused(403, _):
            logger.error(
                "the feed refuses the API key: check FINNHUB_TOKEN or --feed-token-file; trying again later",
                ["feed": closure.endpoint, "cause": "\(closure)", "after": pause])
        default:
            logger.warning("the feed is disconnected; connecting again", ["cause": "\(closure)", "after": pause])
        }
        client.schedule(after: pause, token: Self.dialTimer)
    }

    func timer(_ token: Int, _ client: WebSocketClient) {
        client.connect()
    }
}
