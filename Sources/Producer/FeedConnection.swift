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
    private let events: FeedEventPublisher
    private let silence: SilenceWatch
    private let logger: Logger
    private var policy = ReconnectionPolicy()
    private var firstData: ContinuousClock.Instant?
    private var lastData: ContinuousClock.Instant?
    private var openedAt: ContinuousClock.Instant?
    /// When something came last, be it the open itself; before the first time, what the spool knows of a former run.
    private var lastSign: Timestamp

    private let connections: Counter
    private let disconnections: Counter
    private let errors: Counter
    private let connected: Gauge

    private static let dialTimer = 1
    private static let silenceTimer = 2
    private static let silenceInterval = Duration.seconds(1)

    init(
        feed: WebSocketURL, symbols: [String], publisher: TradePublisher, events: FeedEventPublisher,
        silence: SilenceWatch, lastSign: Timestamp? = nil, logger: Logger, metrics: MetricsRegistry, health: Health
    ) {
        self.lastSign = lastSign ?? .now()
        self.feed = feed
        self.symbols = symbols
        self.publisher = publisher
        self.events = events
        self.silence = silence
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
        let now = Timestamp.now()
        events.publish(.connected, at: now) { event in
            event.gapFrom = lastSign
            event.gapTo = now
        }
        (lastSign, openedAt) = (now, .now)
        logger.info(
            "connected to the feed", ["feed": "\(feed)", "feed.symbols": symbols.count])
        silence.opened(at: now)
        client.schedule(after: Self.silenceInterval, token: Self.silenceTimer)
        for symbol in symbols {
            var request = ByteWriter(capacity: 128)
            request.write("{\"type\":\"subscribe\",\"symbol\":")
            request.writeJSONString(symbol)
            request.write("}")
            if !client.send(request.string) {
                logger.error("a symbol was not subscribed: too many wait to be sent", ["feed.symbol": symbol])
                events.publish(.subscriptionRefused) { event in
                    event.symbol = ShortText(symbol)
                    event.cause = "too many subscriptions wait to be sent"
                }
            }
        }
    }

    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {
        lastSign = .now()
        switch publisher.publish(bytes) {
        case .published:
            let now = ContinuousClock.now
            if firstData == nil { firstData = now }
            lastData = now
        case .feedError(let text):
            errors.increment()
            logger.warning("the feed reports an error", ["feed.message": text])
            events.publish(.subscriptionRefused) { $0.cause = text }
        case nil: break
        }
    }

    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) {
        disconnections.increment()
        connected.set(0)
        // Without a connection, the silence of all symbols is the feed's gap.
        client.cancel(token: Self.silenceTimer)
        publish(closure)
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

    private func publish(_ closure: WebSocketClosure) {
        events.publish(.disconnected) { event in
            event.cause = "\(closure)"
            event.gapFrom = lastSign
            event.connectedMilliseconds = openedAt.map { Int64($0.duration(to: .now) / .milliseconds(1)) }
            switch closure.cause {
            case .refused(let status, _): event.httpStatus = Int32(clamping: status)
            case .closedByServer(let code, _), .closedByClient(let code): event.closeCode = Int32(code)
            default: break
            }
        }
        openedAt = nil
    }

    func timer(_ token: Int, _ client: WebSocketClient) {
        guard token == Self.silenceTimer else { return client.connect() }
        silence.tick(at: .now())
        client.schedule(after: Self.silenceInterval, token: Self.silenceTimer)
    }
}
