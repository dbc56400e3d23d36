import ServiceKit
import Synchronization
import Testing
import TradeModel

@testable import Producer
@testable import WebSocket

/// A connection to a feed in a time of its own: the test plays feed and client, and hours pass at once.
final class FeedRehearsal: FeedLink {
    let topic: TestTopic
    let silence: SilenceWatch
    let health = Health()
    private(set) var connection: FeedConnection
    /// When the feed was dialled, from the beginning on.
    private(set) var dials: [Duration] = []
    /// What was sent on the last connection.
    private(set) var sent: [String] = []
    private(set) var isStopped = false
    private(set) var isPaused = false
    private var timers: [Int: Duration] = [:]
    private let time: Time
    private let log: Log

    private final class Time {
        let start = ContinuousClock.now
        let startTime = Timestamp.now()
        var now = Duration.zero
        var random = 0.0

        var wall: Timestamp {
            Timestamp(microseconds: startTime.microseconds + Int64(now / .microseconds(1)))
        }
    }

    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
    }

    init(
        _ symbols: String..., token: String = "", exitsOnRefusedKey: Bool = false,
        limits: Spool.Limits = Spool.Limits(bytes: 64 << 20)
    ) throws {
        let (topic, time, log) = (try TestTopic(limits: limits), Time(), Log())
        let logger = Logger(label: "test") { line in log.lines.withLock { $0.append(line) } }
        let calendar = try MarketCalendar(
            text: "market all\nsymbols *\nzone UTC\nsession regular Mon-Sun 00:00-24:00 mute-after 30m\n")
        let silence = topic.silence(of: symbols, calendar)
        connection = FeedConnection(
            feed: try WebSocketURL("ws://feed"), symbols: symbols.map { ShortText($0)! }, token: token,
            exitsOnRefusedKey: exitsOnRefusedKey, publisher: try topic.publisher(silence: silence, logger: logger),
            events: topic.events, silence: silence,
            clock: FeedClock(wall: { time.wall }, monotonic: { time.start + time.now }, random: { time.random }),
            logger: logger, metrics: FeedConnectionMetrics(topic.metrics, health))
        (self.topic, self.time, self.log, self.silence) = (topic, time, log, silence)
        connect()
    }

    /// From 0 up to 1: what chance says next.
    var random: Double {
        get { time.random }
        set { time.random = newValue }
    }
    var now: Duration { time.now }
    /// The moment by the wall clock.
    var wall: Timestamp { time.wall }
    var lines: [String] { log.lines.withLock { $0 } }

    /// How long it will be until the feed is dialled; nil when it will not be.
    var pause: Duration? { timers[1].map { $0 - time.now } }

    func metric(_ name: String) -> Int? { topic.metric(name) }

    /// All events so far.
    func events() throws -> [FeedEvent] {
        try topic.feedEvents()
    }

    /// Lets time pass; whatever is due meanwhile happens.
    func pass(_ duration: Duration) {
        let end = time.now + duration
        while let timer = timers.min(by: { $0.value < $1.value }), timer.value <= end {
            timers[timer.key] = nil
            time.now = max(time.now, timer.value)
            connection.timer(timer.key, on: self)
        }
        time.now = end
    }

    /// The feed accepts the connection that was dialled; without one, what was scheduled is waited for.
    func open() {
        if let pause { pass(pause) }
        sent = []
        connection.opened(on: self)
    }

    /// A frame of the feed comes.
    func receive(_ frame: String) {
        Array(frame.utf8).withUnsafeBytes { connection.message($0, on: self) }
    }

    func ping() { receive(#"{"type":"ping"}"#) }

    func trade(_ symbol: String, price: Int = 1) {
        receive(#"{"data":[{"p":\#(price),"s":"\#(symbol)","t":1,"v":1}],"type":"trade"}"#)
    }

    func error(_ text: String) { receive(#"{"msg":"\#(text)","type":"error"}"#) }

    /// The connection, or the attempt to connect, ends.
    func end(_ cause: WebSocketClosure.Cause, wasOpen: Bool = true) {
        if let pause { pass(pause) }
        connection.closed(WebSocketClosure(cause: cause, endpoint: "ws://feed:80", wasOpen: wasOpen), on: self)
    }

    func connect() { dials.append(time.now) }
    func send(_ text: String) -> Bool {
        sent.append(text)
        return true
    }
    func schedule(after delay: Duration, token: Int) { timers[token] = time.now + delay }
    func cancel(token: Int) { timers[token] = nil }
    func pauseReceiving() { isPaused = true }
    func resumeReceiving() { isPaused = false }
    func stop() { isStopped = true }
}
