import Glibc
import Kafka
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Producer
@testable import WebSocket

/// What a robust client of the feed does: a test or two for each hazard that is known of it.
@Suite(.timeLimit(.minutes(10))) struct RobustClientTests {
    /// A feed that says nothing on the first connection, and sends a trade for each subscription on later ones.
    private final class SilentFeed: WebSocketServerHandler, Sendable {
        private let connections = Mutex((open: 0, most: 0))
        /// The most connections that were open at a time.
        var most: Int { connections.withLock { $0.most } }

        func opened(_ connection: ServerConnection) {
            connections.withLock { connections in
                connections.open += 1
                connections.most = max(connections.most, connections.open)
            }
        }
        func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {
            guard connection.identifier > 1 else { return }
            connection.send(#"{"data":[{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#)
        }
        func closed(_ connection: ServerConnection) { connections.withLock { $0.open -= 1 } }
    }

    @Test func `half-open stall: it is told, the old socket is closed, and the feed is dialled anew`() async throws {
        let feed = SilentFeed()
        let topic = try TestTopic()
        try await withFeed(feed) { url in
            let run = try FeedRun(topic, url: url, symbols: ["A"]) { $0.idleTimeout = .milliseconds(200) }
            try await eventually("a trade comes on another connection") { topic.tradeCount > 0 }
            try await run.stop()
        }
        #expect(feed.most == 1)
        // On a busy machine the other connection may be given up as well.
        let events = try topic.feedEvents().prefix(4)
        #expect(events.map(\.kind) == [.connected, .stalled, .disconnected, .connected])
        let (opened, stalled, ended, reopened) = (events[0], events[1], events[2], events[3])
        #expect(stalled.gapFrom == opened.at && stalled.gapTo == nil)
        #expect(stalled.cause?.contains("nothing was received for 0.2 seconds") == true)
        #expect(ended.gapFrom == opened.at && ended.cause == stalled.cause)
        #expect(reopened.gapFrom == opened.at && reopened.gapTo == reopened.at)
    }

    @Test func `pings without trades: a silent symbol is written down, and the connection is kept for ever`() throws {
        let feed = try FeedRehearsal("A", "B")
        feed.open()
        for _ in 0..<180 {
            feed.pass(.seconds(60))
            feed.ping()
        }
        #expect(feed.dials == [.zero] && feed.pause == nil && !feed.isStopped)
        #expect(feed.metric("feed_symbols_mute") == 2)
        #expect(feed.metric("feed_last_ping_timestamp_seconds") == Int(feed.wall.milliseconds / 1000))
        #expect(feed.health.problems == [])
        let events = try feed.events()
        #expect(events.map(\.kind) == [.connected, .symbolMute, .symbolMute])
    }

    @Test func `data without pings: it is told once, and the connection is kept`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        feed.ping()
        let lastPing = feed.wall
        for _ in 0..<299 {
            feed.pass(.seconds(1))
            feed.trade("A")
        }
        #expect(try feed.events().map(\.kind) == [.connected])
        for _ in 0..<600 {
            feed.pass(.seconds(1))
            feed.trade("A")
        }
        feed.ping()
        feed.ping()
        #expect(feed.dials == [.zero] && feed.pause == nil && !feed.isStopped)
        let events = try feed.events()
        #expect(events.map(\.kind) == [.connected, .stalled, .resumed])
        #expect(events[1].gapFrom == lastPing && events[1].cause?.contains("no ping") == true)
        #expect(events[1].at.microseconds == lastPing.microseconds + 300_000_000)
        #expect(events[2].gapFrom == lastPing && events[2].gapTo == feed.wall)
        #expect(feed.lines.count { $0.contains("the feed sends no pings") } == 1)
    }

    @Test func `drops and resets: each is followed by one attempt within a minute, endlessly`() throws {
        let feed = try FeedRehearsal("A")
        let causes: [WebSocketClosure.Cause] = [
            .connectionLost, .closedByServer(code: 1001, reason: ""), .closedByServer(code: 1005, reason: ""),
            .idle(.seconds(120)), .unresolvable("no name"), .unreachable("refused"), .tlsFailed("eof"),
            .handshakeFailed("eof"), .handshakeTimedOut(.seconds(30)), .binaryFrame, .invalidUTF8,
            .messageTooBig(limit: 1), .refused(status: 200, retryAfter: nil), .refused(status: 503, retryAfter: nil),
            .refused(status: 524, retryAfter: nil),
        ]
        for number in 0..<300 {
            feed.random = Double(number % 10) / 10
            let cause = causes[number % causes.count]
            let isOpen = number % 2 == 0
            if isOpen {
                feed.open()
                // Long enough not to be taken for another client's doing.
                feed.pass(.seconds(31))
            }
            feed.end(cause, wasOpen: isOpen)
            let pause = try #require(feed.pause)
            #expect(.seconds(1)...(.seconds(60)) ~= pause, "\(cause)")
        }
        #expect(feed.dials.count == 300, "the last pause is not over")
        #expect(feed.metric("feed_disconnections_total") == 300)
        #expect(feed.metric("feed_connected") == 0)
        #expect(feed.health.problems == ["feed: not connected"])
    }

    @Test func `a gap begins with the last message, and ends with the next connection`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        feed.pass(.seconds(10))
        feed.trade("A")
        let last = feed.wall
        feed.pass(.seconds(5))
        feed.end(.connectionLost)
        let ended = feed.wall
        feed.end(.refused(status: 503, retryAfter: nil), wasOpen: false)
        feed.open()
        let events = try feed.events()
        #expect(events.map(\.kind) == [.connected, .disconnected, .disconnected, .connected])
        #expect(events.dropFirst().map(\.gapFrom) == [last, last, last])
        #expect(events[1].at == ended && events[1].connectedMilliseconds == 15_000)
        #expect(events[2].connectedMilliseconds == nil)
        #expect(events[3].gapTo == feed.wall)
    }

    @Test func `while the feed is away, no symbol counts as mute`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        feed.end(.connectionLost)
        for _ in 0..<10 { feed.end(.refused(status: 401, retryAfter: nil), wasOpen: false) }
        feed.open()
        feed.pass(.seconds(1799))
        #expect(feed.metric("feed_symbols_mute") == 0)
        #expect(try feed.events().allSatisfy { $0.kind != .symbolMute })
        feed.pass(.seconds(1))
        #expect(feed.metric("feed_symbols_mute") == 1)
    }

    @Test func `rapid reconnects: only a minute of data resets the pauses, neither an open nor pings do`() throws {
        let feed = try FeedRehearsal("A")
        feed.random = 0.999
        /// The pause after a connection that brought something each second, and lived a while longer.
        func pause(_ seconds: Int, bringing frame: () -> Void) -> Duration {
            feed.open()
            for _ in 0...seconds {
                frame()
                feed.pass(.seconds(1))
            }
            feed.pass(.seconds(60))
            feed.end(.connectionLost)
            return feed.pause ?? .zero
        }
        for _ in 0..<6 { feed.end(.unreachable(""), wasOpen: false) }
        #expect(pause(3600, bringing: feed.ping) > .seconds(59))
        #expect(pause(59, bringing: { feed.trade("A") }) > .seconds(59))
        #expect(pause(60, bringing: { feed.trade("A") }) < .seconds(2))
    }

    @Test func `429: the feed is left alone for a minute, or for as long as it says`() throws {
        let feed = try FeedRehearsal("A")
        feed.end(.refused(status: 429, retryAfter: nil), wasOpen: false)
        #expect(feed.pause == .seconds(60))
        feed.end(.refused(status: 429, retryAfter: .seconds(90)), wasOpen: false)
        #expect(feed.pause == .seconds(90))
        #expect(try feed.events().map(\.httpStatus) == [429, 429])
    }

    @Test(arguments: [401, 403]) func `a refused key: a clear error, and a slow retry`(status: Int) throws {
        let feed = try FeedRehearsal("A")
        feed.end(.refused(status: status, retryAfter: nil), wasOpen: false)
        #expect(feed.pause == .seconds(300))
        #expect(feed.lines.contains { $0.contains(" error ") && $0.contains("check FINNHUB_TOKEN") })
        #expect(!feed.isStopped && feed.connection.failure.withLock { $0 } == nil)
    }

    @Test(arguments: [401, 403]) func `a refused key: the end, where that is wanted`(status: Int) throws {
        let feed = try FeedRehearsal("A", exitsOnRefusedKey: true)
        feed.end(.refused(status: 503, retryAfter: nil), wasOpen: false)
        #expect(!feed.isStopped)
        feed.end(.refused(status: status, retryAfter: nil), wasOpen: false)
        #expect(feed.isStopped && feed.pause == nil)
        let failure = try #require(feed.connection.failure.withLock { $0 })
        #expect(failure.description.contains("HTTP status \(status): check FINNHUB_TOKEN"))
        #expect(try feed.events().map(\.httpStatus) == [503, Int32(status)])
    }

    @Test func `two clients with one key: it is said once, and the feed is dialled more slowly`() throws {
        let feed = try FeedRehearsal("A")
        for number in 1...5 {
            feed.open()
            feed.trade("A")
            feed.pass(.seconds(3))
            feed.end(number % 2 == 0 ? .connectionLost : .closedByServer(code: 1005, reason: ""))
            #expect(feed.metric("feed_key_contested") == (number < 3 ? 0 : 1))
            let pause = try #require(feed.pause)
            #expect(number < 3 ? pause < .seconds(60) : pause >= .seconds(60))
            if number == 2 { feed.end(.refused(status: 429, retryAfter: nil), wasOpen: false) }
        }
        #expect(feed.lines.count { $0.contains("another client seems to use the same API key") } == 1)
        feed.random = 0.999
        feed.open()
        feed.end(.connectionLost)
        #expect(try #require(feed.pause) > .seconds(299))
        feed.open()
        feed.pass(.seconds(599))
        #expect(feed.metric("feed_key_contested") == 1)
        feed.pass(.seconds(2))
        #expect(feed.metric("feed_key_contested") == 0)
        feed.end(.connectionLost)
        #expect(try #require(feed.pause) < .seconds(61))
        let ends = try feed.events().filter { $0.kind == .disconnected }.map { $0.cause ?? "" }
        let told = ends.indices.filter { ends[$0].contains("another client seems to use the same API key") }
        #expect(told == [3], "the third short connection's, behind the refused attempt")
    }

    @Test func `lost resubscription: everything is subscribed anew on each open`() throws {
        let feed = try FeedRehearsal("A", "IC MARKETS:1", "q\"")
        let subscriptions = [
            #"{"type":"subscribe","symbol":"A"}"#, #"{"type":"subscribe","symbol":"IC MARKETS:1"}"#,
            #"{"type":"subscribe","symbol":"q\""}"#,
        ]
        for _ in 0..<3 {
            feed.open()
            #expect(feed.sent == subscriptions)
            #expect(feed.metric("feed_symbols_subscribed") == 3)
            feed.end(.connectionLost)
            #expect(feed.metric("feed_symbols_subscribed") == 0)
        }
    }

    @Test func `error frames: an invalid symbol is left out, it alone, until the end of the run`() throws {
        let feed = try FeedRehearsal("A", "FX:EURUSD", "C")
        feed.open()
        feed.error("Invalid symbol FX:EURUSD")
        feed.error("Invalid symbol never asked for")
        #expect(feed.metric("feed_symbols_refused") == 1 && feed.metric("feed_symbols_subscribed") == 2)
        #expect(feed.metric("feed_errors_total") == 2)
        feed.trade("A")
        #expect(feed.pause == nil && feed.health.problems == [])
        feed.end(.connectionLost)
        feed.open()
        #expect(feed.sent == [#"{"type":"subscribe","symbol":"A"}"#, #"{"type":"subscribe","symbol":"C"}"#])
        for _ in 0..<40 {
            feed.pass(.seconds(60))
            feed.ping()
        }
        let events = try feed.events()
        let refusals = events.filter { $0.kind == .subscriptionRefused }
        #expect(refusals.map(\.symbol) == [ShortText("FX:EURUSD"), nil])
        #expect(refusals.map(\.cause) == ["Invalid symbol FX:EURUSD", "Invalid symbol never asked for"])
        #expect(events.filter { $0.kind == .symbolMute }.compactMap(\.symbol?.description).sorted() == ["A", "C"])
    }

    @Test func `error frames: without any symbol left, the producer is not ready`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        feed.error("Invalid symbol")
        #expect(feed.health.problems == ["feed: no symbol is subscribed: the feed refuses them all"])
    }

    @Test func `error frames: too many symbols are told once on each open, with what to do`() throws {
        let feed = try FeedRehearsal("A", "B")
        for _ in 0..<2 {
            feed.open()
            for _ in 0..<9 { feed.error("Subscribing to too many symbols") }
            feed.pass(.seconds(60))
            feed.end(.connectionLost)
        }
        #expect(feed.metric("feed_errors_total") == 18 && feed.metric("feed_symbols_refused") == 0)
        let warnings = feed.lines.filter { $0.contains("more symbols than the feed's plan allows") }
        #expect(warnings.count == 2)
        #expect(warnings.allSatisfy { $0.contains("feed.symbols=2 feed.plan=50") && $0.contains("name fewer") })
        #expect(try feed.events().count { $0.kind == .subscriptionRefused } == 2)
    }

    @Test func `error frames: a flood is counted, and told a few times a minute`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        for number in 0..<1000 { feed.error("what \(number)") }
        #expect(feed.metric("feed_errors_total") == 1000)
        #expect(feed.lines.count { $0.contains("the feed reports an error") } == 10)
        feed.pass(.seconds(61))
        feed.error("again")
        #expect(feed.lines.contains { $0.contains("feed.message=again") })
        #expect(try feed.events().count { $0.kind == .subscriptionRefused } == 11)
    }

    @Test func `a handshake that hangs is given up in time, and tried again`() async throws {
        let topic = try TestTopic()
        let listener = try SilentListener()
        let run = try FeedRun(topic, url: "ws://127.0.0.1:\(listener.port)", symbols: ["A"]) {
            $0.handshakeTimeout = .milliseconds(200)
        }
        try await eventually("two attempts are given up") { topic.eventCount >= 2 }
        try await run.stop()
        // A third attempt may have begun, and ended with the stop.
        let events = try topic.feedEvents().prefix(2)
        #expect(events.allSatisfy { $0.kind == .disconnected && $0.connectedMilliseconds == nil })
        #expect(events.allSatisfy { $0.cause?.contains("no connection within 0.2 seconds") == true })
    }

    /// A port that takes connections and never says a word.
    private final class SilentListener {
        let port: UInt16
        private let socket: Int32

        init() throws {
            socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) { [socket] in
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, size) | listen(socket, 8) | getsockname(socket, $0, &size)
                }
            }
            port = UInt16(bigEndian: address.sin_port)
            try #require(status == 0)
        }

        deinit { close(socket) }
    }

    @Test func `a spool that is nearly full: nothing is read until Kafka has taken some, and nothing is dropped`()
        throws
    {
        let feed = try FeedRehearsal("A", limits: Spool.Limits(bytes: 16 << 12, segmentBytes: 1 << 12))
        feed.open()
        var count = 0
        while !feed.isPaused {
            feed.trade("A")
            count += 1
        }
        feed.trade("A")
        // Hours of silence in which nothing is read are no silence of the feed.
        feed.pass(.seconds(3600))
        #expect(feed.isPaused && feed.metric("feed_paused") == 1 && feed.metric("feed_symbols_mute") == 0)
        let reader = SpoolReader(feed.topic.spools.trades)
        while let record = try reader.next() {
            reader.advance()
            try reader.acknowledge(record.token)
        }
        feed.pass(.seconds(1))
        #expect(!feed.isPaused && feed.metric("feed_paused") == 0)
        #expect(feed.topic.tradeCount == count + 1 && feed.topic.counts.dropped.value == 0)
        let events = try feed.events()
        #expect(events.map(\.kind) == [.connected, .stalled, .resumed])
        #expect(events[1].cause == "the spool is full" && events[2].gapFrom == events[1].at)
        #expect(events[2].gapTo == events[2].at)
    }

    @Test func `a feed that hangs up while nothing is read leaves a gap, and the next connection waits for room too`()
        throws
    {
        let feed = try FeedRehearsal("A", limits: Spool.Limits(bytes: 16 << 12, segmentBytes: 1 << 12))
        feed.open()
        while !feed.isPaused { feed.trade("A") }
        let last = feed.wall
        feed.pass(.seconds(30))
        feed.end(.closedByServer(code: 1008, reason: "too slow"))
        #expect(feed.metric("feed_paused") == 0)
        feed.resumeReceiving()
        feed.open()
        #expect(feed.isPaused)
        let events = try feed.events()
        #expect(events.map(\.kind) == [.connected, .stalled, .disconnected, .connected, .stalled])
        #expect(events[2].gapFrom == last && events[3].gapFrom == last && events[3].gapTo == events[3].at)
    }

    @Test func `a restart knows when the feed was heard last`() throws {
        let directory = try TestDirectory()
        let heard = Timestamp(microseconds: 1_787_924_136_000_000)
        do {
            let publisher = try TestTopic(directory).publisher()
            publisher.heard(at: heard)
        }
        #expect(try TestTopic(directory).spools.lastSign == heard)
    }

    @Test func `a bad item: the others of its frame are published, and the connection is kept`() throws {
        let feed = try FeedRehearsal("A", "B")
        feed.open()
        feed.receive(
            #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":-1,"s":"A","t":1,"v":1},{"p":1,"s":"A","v":1},"#
                + #"{"p":"1","s":"A","t":1,"v":1},{"p":2,"s":"B","t":1,"v":1}],"type":"trade"}"#)
        feed.receive(#"{"type":"news","data":[]}"#)
        feed.receive(#"{"type":"trade","data":[{"#)
        #expect(feed.topic.tradeCount == 2)
        #expect(feed.pause == nil && !feed.isStopped && feed.metric("feed_disconnections_total") == 0)
    }

    @Test func `trades of other symbols than the subscribed ones are published, and counted`() throws {
        let feed = try FeedRehearsal("A")
        feed.open()
        for symbol in ["A", "B", "C", "B"] { feed.trade(symbol) }
        feed.pass(.seconds(1))
        #expect(feed.topic.tradeCount == 4)
        #expect(feed.metric("feed_trades_unsubscribed_total") == 3)
    }

    @Test func `a certificate that is refused: why, and what to do`() throws {
        let feed = try FeedRehearsal("A")
        feed.end(.tlsFailed("the server's certificate was refused: self-signed certificate"), wasOpen: false)
        let line = try #require(feed.lines.first { $0.contains("no TLS with the feed") })
        #expect(line.contains(" error ") && line.contains("--feed-ca-file") && line.contains("self-signed certificate"))
        #expect(try feed.events()[0].cause?.contains("self-signed certificate") == true)
    }

    @Test func `the token stands nowhere, whatever the feed sends`() throws {
        let feed = try FeedRehearsal("A", token: "a secret/1")
        feed.open()
        feed.error("Invalid symbol /?token=a%20secret%2F1")
        feed.error("no plan for a secret/1")
        feed.end(.closedByServer(code: 1008, reason: "bad token 'a secret/1'"))
        feed.end(.handshakeFailed("GET /?token=a%20secret%2F1"), wasOpen: false)
        feed.end(.refused(status: 401, retryAfter: nil), wasOpen: false)
        let texts = try feed.lines + feed.events().compactMap(\.cause) + [feed.topic.metrics.render()]
        #expect(texts.contains { $0.contains("bad token '…'") })
        for text in texts { #expect(!text.contains("secret"), "\(text)") }
    }

    @Test func `how old everything is stands in the metrics`() throws {
        let feed = try FeedRehearsal("A", "B")
        #expect(feed.metric("feed_last_message_timestamp_seconds") == 0)
        feed.open()
        feed.pass(.seconds(100))
        feed.ping()
        let ping = Int(feed.wall.milliseconds / 1000)
        feed.pass(.seconds(100))
        feed.silence.trade(of: ShortText("A")!, at: feed.wall)
        let trade = Int(feed.wall.milliseconds / 1000)
        feed.trade("C")
        feed.pass(.seconds(100))
        #expect(feed.metric("feed_last_ping_timestamp_seconds") == ping)
        #expect(feed.metric("feed_last_message_timestamp_seconds") == trade)
        #expect(feed.metric(#"feed_symbol_last_trade_timestamp_seconds{symbol="A"}"#) == trade)
        #expect(feed.metric(#"feed_symbol_last_trade_timestamp_seconds{symbol="B"}"#) == 0)
        #expect(feed.metric(#"feed_symbol_last_trade_timestamp_seconds{symbol="C"}"#) == nil)
    }
}
