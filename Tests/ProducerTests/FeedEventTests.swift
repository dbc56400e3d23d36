import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel
import WebSocket

@testable import Producer

/// A feed with a plan: what it does on each attempt to connect, once the symbol is subscribed.
private final class PlannedFeed: WebSocketServerHandler, Sendable {
    enum Step {
        case refuse(Int)
        /// Sends these frames, then closes with a code where there is one.
        case send([String], code: UInt16?)
    }

    private let plan: [Step]
    private let attempts = Mutex(0)

    init(_ plan: [Step]) { self.plan = plan }

    private var step: Step { attempts.withLock { plan[min($0, plan.count) - 1] } }

    func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse {
        attempts.withLock { $0 += 1 }
        if case .refuse(let status) = step { return .refuse(HTTPResponse(status: status, text: "no")) }
        return .accept
    }
    func opened(_ connection: ServerConnection) {}
    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {
        guard case .send(let frames, let code) = step else { return }
        for frame in frames { connection.send(frame) }
        if let code { connection.close(code: code) }
    }
    func closed(_ connection: ServerConnection) {}
}

@Suite(.timeLimit(.minutes(10))) struct FeedEventTests {
    private static func trade(_ symbol: String, price: Int = 1) -> String {
        #"{"data":[{"p":\#(price),"s":"\#(symbol)","t":1,"v":1}],"type":"trade"}"#
    }

    /// Runs the producer's connection on a feed until as many events as expected are published, then stops it and reports.
    private static func run(
        _ plan: [PlannedFeed.Step], until count: Int, trades: Int = 0
    ) async throws -> (TestTopic, [FeedEvent]) {
        let topic = try TestTopic()
        let server = try WebSocketServer(handler: PlannedFeed(plan))
        let address = try feedURL("ws://127.0.0.1:\(server.port)", token: "hidden")
        let feed = FeedService(configuration: WebSocketClientConfiguration(url: address)) {
            FeedConnection(
                feed: address, symbols: [ShortText("A")!], publisher: try topic.publisher(), events: topic.events,
                silence: topic.silence(), logger: TestTopic.quiet,
                metrics: FeedConnectionMetrics(topic.metrics, Health()))
        }
        let ended = Mutex(Set<String>())
        ServiceThread.start("server") {
            server.run()
            ended.withLock { _ = $0.insert("server") }
        }
        ServiceThread.start("feed") {
            try? feed.run(until: topic.shutdown)
            ended.withLock { _ = $0.insert("feed") }
        }
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(
                try await eventually("\(count) events and \(trades) trades are published") {
                    topic.eventCount >= count && topic.tradeCount >= trades
                })
        } catch { outcome = .failure(error) }
        topic.shutdown.request()
        try await eventually("the feed's service ends") { ended.withLock { $0.contains("feed") } }
        server.stop()
        try await eventually("the server ends") { ended.withLock { $0.contains("server") } }
        try outcome.get()
        var report = topic.report()
        report.finish()
        return (topic, try topic.feedEvents())
    }

    @Test func `a connection's life stands in the topic`() async throws {
        let refusal = #"{"msg":"Invalid symbol \u0000A","type":"error"}"#
        let start = Timestamp.now()
        let (topic, events) = try await Self.run(
            [
                .send(
                    [Self.trade("A"), refusal, Self.trade("B"), Self.trade("A", price: 0), Self.trade("A")], code: 1001),
                .refuse(503), .send([Self.trade("A")], code: nil),
            ], until: 5, trades: 4)
        #expect(events.map(\.sequence) == events.indices.map { 5001 + Int64($0) })
        #expect(events.map(\.at) == events.map(\.at).sorted())
        let life = events.filter { $0.kind != .rejectedItems && $0.kind != .counters }
        #expect(
            life.map(\.kind) == [
                .connected, .subscriptionRefused, .disconnected, .disconnected, .connected, .disconnected,
            ])
        try #require(life.count == 6)

        let (first, ended, failed, second) = (life[0], life[2], life[3], life[4])
        #expect(first.gapFrom == nil && first.gapTo == first.at && first.at >= start)
        #expect(life[1].cause == #"Invalid symbol \u0000A"#)
        #expect(ended.closeCode == 1001 && ended.httpStatus == nil)
        #expect(try #require(ended.cause).hasSuffix(": the server closed with code 1001"))
        let lastSign = try #require(ended.gapFrom)
        #expect(first.at <= lastSign && lastSign <= ended.at && ended.gapTo == nil)
        #expect(0...120_000 ~= (try #require(ended.connectedMilliseconds)))
        #expect(failed.httpStatus == 503 && failed.closeCode == nil && failed.connectedMilliseconds == nil)
        // All that while nothing came.
        #expect(failed.gapFrom == lastSign && second.gapFrom == lastSign && second.gapTo == second.at)
        #expect(life[5].cause?.hasSuffix("closed because the client was stopped") == true)
        #expect(events.allSatisfy { $0.cause?.contains("hidden") != true })

        let rejected = try #require(events.first { $0.kind == .rejectedItems })
        #expect(rejected.details == [ShortText("price_not_positive")!: 1])
        try Self.expectConservation(events, topic, received: 5, rejected: 1, by: ["A": 3, "B": 1])
    }

    /// The counts of all events `counters` together are those of the run.
    private static func expectConservation(
        _ events: [FeedEvent], _ topic: TestTopic, received: Int64, rejected: Int64, by symbols: [String: Int64]
    ) throws {
        #expect(events.last?.kind == .counters)
        let counts = try events.filter { $0.kind == .counters }.map { try #require($0.counts) }
        func sum(_ count: (FeedEvent.Counts) -> Int64) -> Int64 { counts.reduce(0) { $0 + count($1) } }
        #expect(sum(\.frames) == topic.counts.frames.value)
        #expect(sum(\.received) == received && sum(\.rejected) == rejected)
        #expect(sum(\.enqueued) == received - rejected && sum(\.acknowledged) == sum(\.enqueued))
        let bySymbol = events.filter { $0.kind == .counters }.reduce(into: [:]) { result, event in
            result.merge(event.details, uniquingKeysWith: +)
        }
        #expect(bySymbol == Dictionary(uniqueKeysWithValues: symbols.map { (ShortText($0.key)!, $0.value) }))
    }

    @Test func `a refused key stands in the topic with its status, and not in its words`() async throws {
        let (_, events) = try await Self.run([.refuse(401)], until: 1)
        #expect(events.map(\.kind) == [.disconnected], "nothing was counted, so nothing is told of it")
        #expect(events[0].httpStatus == 401)
        #expect(events[0].cause?.contains("hidden") == false)
    }

    @Test func `a close code that the library does not know is told as it was heard`() async throws {
        let (_, events) = try await Self.run([.send([], code: 1012), .send([], code: nil)], until: 3)
        let ended = try #require(events.first { $0.kind == .disconnected })
        #expect(ended.closeCode == 1002)
    }

    @Test func `counters are told at each interval, and what was told is not told again`() async throws {
        let topic = try TestTopic()
        let publisher = try topic.publisher()
        var report = topic.report()
        let start = ContinuousClock.now
        func publish(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { publisher.publish($0) } }
        for symbol in ["A", "B", "A"] { publish(Self.trade(symbol)) }
        report.tellIfDue(at: start + .milliseconds(500))
        #expect(topic.eventCount == 0)
        report.tellIfDue(at: start + .seconds(61))
        publish(Self.trade("B"))
        for _ in 0..<3 { publish(Self.trade("B", price: 0)) }
        publish(#"{"type":"ping"}"#)
        report.tellIfDue(at: start + .milliseconds(62_500))
        report.tellIfDue(at: start + .milliseconds(62_600))
        report.finish()
        let events = try topic.feedEvents()
        #expect(events.map(\.kind) == [.counters, .rejectedItems, .counters])
        #expect(events[0].details == [ShortText("A")!: 2, ShortText("B")!: 1])
        #expect(events[0].counts?.received == 3 && events[0].counts?.rejected == 0 && events[0].counts?.frames == 3)
        #expect(events[1].details == [ShortText("price_not_positive")!: 3])
        #expect(events[2].details == [ShortText("B")!: 1])
        #expect(events[2].counts?.received == 4 && events[2].counts?.rejected == 3 && events[2].counts?.frames == 5)
        #expect(events[2].counts?.enqueued == 1)
        #expect((events[0].counts?.acknowledged ?? 0) + (events[2].counts?.acknowledged ?? 0) == 4)
    }

    @Test func `a text of the network is cut, and made fit for the table`() throws {
        let topic = try TestTopic()
        topic.events.publish(.subscriptionRefused) { $0.cause = "a\0" + String(repeating: "ü", count: 2000) }
        #expect(try topic.feedEvents()[0].cause == "a\u{FFFD}" + String(repeating: "ü", count: 498))
    }

    @Test func `a feed that makes up symbols does not fill the memory`() {
        let counts = FeedCounts(MetricsRegistry())
        for number in 0..<FeedCounts.maximumSymbols {
            #expect(counts.addSymbol(ShortText("S\(number)")!) != nil)
        }
        #expect(counts.addSymbol(ShortText("more")!) == nil)
        #expect(counts.addSymbol(ShortText("S7")!) != nil)
        counts.countOther()
        #expect(counts.tradesBySymbol[FeedCounts.otherSymbols] == 1)
    }
}
