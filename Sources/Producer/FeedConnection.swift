import ServiceKit
import TradeModel
import WebSocket

/// The connection to the feed: subscribes on each open, publishes what comes, dials again after each end.
///
/// Everything happens on the client's loop thread, in the time of a ``FeedClock``. Every way in which a connection or an
/// attempt can end comes through ``closed(_:on:)``, once; the client has let go of the old socket by then.
final class FeedConnection {
    /// Set when a refused key has ended the client.
    let failure = ConditionLock<FeedKeyRefused?>(nil)

    private let feed: WebSocketURL
    private let publisher: TradePublisher
    private let events: FeedEventPublisher
    private let silence: SilenceWatch
    private let subscriber: Subscriber
    private let redacted: Redaction
    private let exitsOnRefusedKey: Bool
    private let clock: FeedClock
    private let logger: Logger
    private let metrics: FeedConnectionMetrics

    private var policy = ReconnectionPolicy()
    private var contention = KeyContention()
    private var open: Open?
    /// When something came last, be it the open itself; before the first time, what the spool knows of a former run, if
    /// there was one.
    private var lastSign: Timestamp?
    private let start: Timestamp
    /// Since when nothing is read, for want of room in the spool.
    private var pausedSince: Timestamp?

    /// What is known of a connection while it is open.
    private struct Open {
        let since: ContinuousClock.Instant
        var pings: PingWatch
        var firstData: ContinuousClock.Instant?
        var lastData: ContinuousClock.Instant?

        /// How long it has been bringing data.
        var dataFor: Duration { firstData.map { (lastData ?? $0) - $0 } ?? .zero }
    }

    private enum Timer: Int {
        case dial = 1
        case watch
        case room
    }

    private static let watchInterval = Duration.seconds(1)
    private static let roomInterval = Duration.milliseconds(100)

    /// - Parameters:
    ///   - token: the API key, only to keep it out of what the feed says.
    ///   - exitsOnRefusedKey: whether a refused key ends the client, and with it the program.
    init(
        feed: WebSocketURL, symbols: [ShortText], token: String = "", exitsOnRefusedKey: Bool = false,
        publisher: TradePublisher, events: FeedEventPublisher, silence: SilenceWatch, lastSign: Timestamp? = nil,
        clock: FeedClock = FeedClock(), logger: Logger, metrics: FeedConnectionMetrics
    ) {
        self.feed = feed
        self.publisher = publisher
        self.events = events
        self.silence = silence
        self.exitsOnRefusedKey = exitsOnRefusedKey
        self.clock = clock
        self.logger = logger
        self.metrics = metrics
        subscriber = Subscriber(symbols, events: events, silence: silence, logger: logger, metrics: metrics)
        redacted = Redaction(token)
        self.lastSign = lastSign
        start = clock.wall()
    }

    func opened(on link: some FeedLink) {
        let (now, instant) = (clock.wall(), clock.monotonic())
        metrics.connections.increment()
        events.publish(.connected, at: now) { event in
            event.gapFrom = lastSign
            event.gapTo = now
        }
        lastSign = now
        publisher.heard(at: now)
        open = Open(since: instant, pings: PingWatch(openedAt: instant, now))
        subscriber.subscribe(on: link, at: now)
        metrics.connected.set(1)
        logger.info(
            "connected to the feed", ["feed": "\(feed)", "feed.symbols": metrics.subscribed.value])
        schedule(.watch, after: Self.watchInterval, on: link)
        if !publisher.hasRoom { pause(on: link, at: now) }
    }

    func message(_ bytes: UnsafeRawBufferPointer, on link: some FeedLink) {
        let now = clock.wall()
        lastSign = now
        metrics.lastMessage.set(now)
        switch publisher.publish(bytes, at: now) {
        case .published:
            let instant = clock.monotonic()
            if open?.firstData == nil { open?.firstData = instant }
            open?.lastData = instant
        case .feedError(let text): subscriber.refused(redacted(text), at: clock.wall(), clock.monotonic())
        case nil: if Self.isPing(bytes) { pinged(at: now) }
        }
        if !publisher.hasRoom { pause(on: link, at: now) }
    }

    /// Stops reading before the spool is full: what comes waits in the socket, where nothing is lost.
    private func pause(on link: some FeedLink, at now: Timestamp) {
        guard pausedSince == nil else { return }
        pausedSince = now
        link.pauseReceiving()
        schedule(.room, after: Self.roomInterval, on: link)
        metrics.paused.set(1)
        logger.error("the spool is full: nothing is read from the feed until Kafka has taken some of it")
        events.publish(.stalled, at: now) { event in
            event.cause = "the spool is full"
            event.gapFrom = now
        }
    }

    /// Reads on as soon as there is room.
    private func resumeIfPossible(on link: some FeedLink) {
        guard let since = pausedSince else { return }
        guard publisher.hasRoom else {
            return schedule(.room, after: Self.roomInterval, on: link)
        }
        pausedSince = nil
        let now = clock.wall()
        metrics.paused.set(0)
        // Silences that began while nothing was read are none of the feed's.
        silence.opened(at: now)
        open?.pings = PingWatch(openedAt: clock.monotonic(), now)
        link.resumeReceiving()
        logger.info("the spool has room again; reading on", ["since": since])
        events.publish(.resumed, at: now) { event in
            event.cause = "the spool has room again"
            event.gapFrom = since
            event.gapTo = now
        }
    }

    private static func isPing(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // What else is of no concern, such as news, is longer.
        bytes.count <= 128 && (try? JSONObject(bytes.bindMemory(to: UInt8.self).span))?.string("type") == "ping"
    }

    private func pinged(at now: Timestamp) {
        metrics.lastPing.set(now)
        guard let since = open?.pings.ping(at: clock.monotonic(), now) else { return }
        logger.info("the feed's pings come again", ["since": since])
        events.publish(.resumed, at: now) { event in
            event.cause = "the feed's pings come again"
            event.gapFrom = since
            event.gapTo = now
        }
    }

    private func schedule(_ timer: Timer, after delay: Duration, on link: some FeedLink) {
        link.schedule(after: clock.timer(delay), token: timer.rawValue)
    }

    func timer(_ token: Int, on link: some FeedLink) {
        switch Timer(rawValue: token) {
        case .dial: link.connect()
        case .watch:
            watch()
            schedule(.watch, after: Self.watchInterval, on: link)
        case .room: resumeIfPossible(on: link)
        case nil: break
        }
    }

    /// What is to be noticed about an open connection, beside its end.
    private func watch() {
        // While nothing is read, nothing can come.
        guard pausedSince == nil else { return }
        let (now, instant) = (clock.wall(), clock.monotonic())
        silence.tick(at: now)
        if let since = open?.pings.tick(at: instant) {
            logger.warning("the feed sends no pings; the connection is kept", ["since": since])
            events.publish(.stalled, at: now) { event in
                event.cause = "no ping of the feed for \(PingWatch.limit)"
                event.gapFrom = since
            }
        }
        if let since = open?.since, contention.lives(for: instant - since) {
            metrics.keyContested.set(0)
            logger.info("no other client seems to use the same API key any more")
        }
    }

    func closed(_ closure: WebSocketClosure, on link: some FeedLink) {
        let instant = clock.monotonic()
        let ended = open
        open = nil
        metrics.disconnections.increment()
        metrics.connected.set(0)
        subscriber.closed()
        // Without a connection, the silence of all symbols is the feed's gap.
        link.cancel(token: Timer.watch.rawValue)
        link.cancel(token: Timer.room.rawValue)
        pausedSince = nil
        metrics.paused.set(0)
        let openFor = ended.map { instant - $0.since }
        let isContested = openFor.map { contention.ended(closure.cause, openFor: $0, at: instant) } ?? false
        tell(closure, openFor: openFor, isContested: isContested)
        if case .stopped = closure.cause { return }
        if exitsOnRefusedKey, let status = closure.cause.refusedKeyStatus {
            failure.withLock { $0 = FeedKeyRefused(endpoint: closure.endpoint, httpStatus: status) }
            return link.stop()
        }
        let pause = policy.pause(
            after: closure.cause, dataFor: ended?.dataFor ?? .zero, isContested: contention.isSuspected,
            random: clock.random())
        log(closure, pause: pause)
        schedule(.dial, after: pause, on: link)
    }

    /// - Parameter isContested: whether this end has raised the suspicion that another client uses the key.
    private func tell(_ closure: WebSocketClosure, openFor: Duration?, isContested: Bool) {
        let now = clock.wall()
        let from = lastSign ?? start
        lastSign = from
        var cause = redacted("\(closure)")
        if case .idle = closure.cause {
            events.publish(.stalled, at: now) { event in
                event.cause = cause
                event.gapFrom = from
            }
        }
        if isContested {
            metrics.keyContested.set(1)
            cause += "; \(KeyContention.finding)"
            logger.error(
                "another client seems to use the same API key: give each producer a key of its own; dialling more slowly",
                ["feed": "\(feed)", "cause": cause])
        }
        events.publish(.disconnected, at: now) { event in
            event.cause = cause
            event.gapFrom = from
            event.connectedMilliseconds = openFor.map { Int64($0 / .milliseconds(1)) }
            switch closure.cause {
            case .refused(let status, _): event.httpStatus = Int32(clamping: status)
            case .closedByServer(let code, _), .closedByClient(let code): event.closeCode = Int32(code)
            default: break
            }
        }
    }

    private func log(_ closure: WebSocketClosure, pause: Duration) {
        let cause = redacted("\(closure)")
        switch closure.cause {
        case _ where closure.cause.refusedKeyStatus != nil:
            logger.error(
                "the feed refuses the API key: check FINNHUB_TOKEN or --feed-token-file; trying again later",
                ["cause": cause, "after": pause])
        case .tlsFailed:
            logger.error(
                """
                no TLS with the feed; connecting again: check --feed-url and this machine's clock, and name an authority \
                of your own with --feed-ca-file
                """, ["cause": cause, "after": pause])
        default:
            logger.warning("the feed is disconnected; connecting again", ["cause": cause, "after": pause])
        }
    }
}

extension FeedConnection: WebSocketClientHandler {
    func started(_ client: WebSocketClient) { client.connect() }
    func opened(_ client: WebSocketClient) { opened(on: client) }
    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) { message(bytes, on: client) }
    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) { closed(closure, on: client) }
    func timer(_ token: Int, _ client: WebSocketClient) { timer(token, on: client) }
}

extension WebSocketClosure.Cause {
    /// The HTTP status with which the key was refused; nil when something else was the matter.
    fileprivate var refusedKeyStatus: Int? {
        if case .refused(let status, _) = self, status == 401 || status == 403 { status } else { nil }
    }
}
