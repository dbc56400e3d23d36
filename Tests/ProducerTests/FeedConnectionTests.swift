import LocalServers
import ServiceKit
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import Producer

/// A feed that expects a number of subscriptions on each connection, then sends a trade; it hangs up the first time.
private final class Feed: WebSocketServerHandler, Sendable {
    private let expected: Int
    private let response: UpgradeResponse
    private let received = Mutex<[[String]]>([])
    private let attempts = Mutex(0)

    init(expecting expected: Int, response: UpgradeResponse = .accept) {
        self.expected = expected
        self.response = response
    }

    /// What each connection has sent.
    var connections: [[String]] { received.withLock { $0 } }
    var upgrades: Int { attempts.withLock { $0 } }

    func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse {
        attempts.withLock { $0 += 1 }
        return response
    }
    func opened(_ connection: ServerConnection) { received.withLock { $0.append([]) } }
    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {
        let count = received.withLock { lists in
            lists[connection.identifier - 1].append(String(decoding: bytes, as: UTF8.self))
            return lists[connection.identifier - 1].count
        }
        guard count == expected else { return }
        connection.send(#"{"data":[{"p":\#(connection.identifier),"s":"A","t":1,"v":1}],"type":"trade"}"#)
        if connection.identifier == 1 { connection.close(code: 1001) }
    }
    func closed(_ connection: ServerConnection) {}
}

@Suite(.timeLimit(.minutes(10))) struct FeedConnectionTests {
    @Test func `all symbols are subscribed on every open, and a hang-up is followed by another connection`()
        async throws
    {
        let symbols = ["AAPL", "BINANCE:BTCUSDT", "q\"ü"]
        let feed = Feed(expecting: symbols.count)
        let topic = try TestTopic()
        try await withFeed(feed) { url in
            let run = try FeedRun(topic, url: url, symbols: symbols)
            try await eventually("two trades are published") { topic.tradeCount == 2 }
            #expect(topic.metrics.render().contains("feed_connected 1\n"))
            try await run.stop()
            let subscriptions = symbols.map {
                #"{"type":"subscribe","symbol":"\#($0.replacing("\"", with: "\\\""))"}"#
            }
            #expect(feed.connections == [subscriptions, subscriptions])
            let text = topic.metrics.render()
            #expect(text.contains("feed_connections_total 2\n"))
            #expect(text.contains("feed_disconnections_total 2\n"))
            #expect(text.contains("feed_connected 0\n"))
            #expect(run.lines.allSatisfy { !$0.contains("hidden") })
        }
        #expect(try topic.records().map(\.key) == ["A", "A"])
    }

    @Test func `a refused key is said as an error, and a stop does not wait for the next attempt`() async throws {
        let feed = Feed(expecting: 1, response: .refuse(HTTPResponse(status: 401, text: "no")))
        let topic = try TestTopic()
        try await withFeed(feed) { url in
            let run = try FeedRun(topic, url: url, symbols: ["A"])
            try await eventually("the refusal is logged") {
                run.lines.contains { $0.contains(" error ") && $0.contains("refuses the API key") }
            }
            try await run.stop()
            #expect(feed.upgrades == 1)
            #expect(run.lines.allSatisfy { !$0.contains("hidden") })
        }
    }

    @Test func `a feed that is not there is dialled again and again`() async throws {
        let topic = try TestTopic()
        let run = try FeedRun(topic, url: "ws://127.0.0.1:\(try FreePort.find())", symbols: ["A"])
        try await eventually("two attempts have ended") {
            topic.metric("feed_disconnections_total") ?? 0 >= 2
        }
        try await run.stop()
    }
}
