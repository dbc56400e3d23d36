import TestSupport
import Testing
import WebSocket

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioHTTPTests {
    @Test(arguments: [
        ("http-200", "200 OK", nil), ("http-301", "301 Moved Permanently", "Location: ws://127.0.0.1:1/"),
        ("http-401", "401 Unauthorized", nil), ("http-403", "403 Forbidden", nil),
        ("http-429", "429 Too Many Requests", nil),
        ("http-429-retry-after", "429 Too Many Requests", "Retry-After: 2"),
        ("http-503", "503 Service Unavailable", nil), ("http-524", "524 A Timeout Occurred", nil),
    ])
    func `An answer stands in place of the upgrade, and the next connection is served`(
        name: String, status: String, header: String?
    ) async throws {
        try await withScenario(file: name) { run in
            let client = try WireClient(run.address)
            client.request()
            let head = try #require(try client.head())
            #expect(head.hasPrefix("HTTP/1.1 \(status)\r\n"))
            #expect(head.contains("Connection: close\r\n"))
            #expect(header.map { head.contains("\($0)\r\n") } ?? !head.contains("Retry-After"))
            while try client.receive() {}
            #expect(client.end == .endOfStream)
            #expect(!client.rest.isEmpty)
            client.close()
            #expect(try run.end(ofConnection: 1) == "answered \(status.prefix(3))")
            try Self.expectService(run)
        }
    }

    @Test func `Our client hears how long to wait`() async throws {
        let scenario = try Scenario(
            contentsOf: ScenarioFiles.path("http-429-retry-after"), known: standardSymbols)
        try await withScenario(scenario, FeedOptions()) { feed in
            let probe = FeedProbe([])
            try await withClient(feed.address, probe) { _ in
                try await eventually("the attempt ends") { probe.closure != nil }
            }
            #expect(probe.closure?.cause == .refused(status: 429, retryAfter: .seconds(2)))
        }
    }

    @Test func `A request gets no reply`() async throws {
        try await withScenario(file: "http-no-reply") { run in
            let client = try WireClient(run.address)
            client.request()
            #expect(client.isSilent(for: 500))
            client.close()
            #expect(try run.end(ofConnection: 1) == "the client has left")
            try Self.expectService(run)
        }
    }

    @Test func `An answer drips a byte at a time`() async throws {
        try await withScenario(file: "http-slow-drip") { run in
            let client = try WireClient(run.address)
            let start = ContinuousClock.now
            client.request()
            let head = try #require(try client.head())
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            #expect(ContinuousClock.now - start > .milliseconds(50) * (head.utf8.count - 1))
            #expect(client.segments == head.utf8.count)
            client.subscribe("AAPL")
            _ = try client.trades()
        }
    }

    @Test func `The hash of another key is no proof`() async throws {
        try await withScenario(file: "http-wrong-hash") { run in
            let client = try WireClient(run.address)
            client.request()
            let head = try #require(try client.head())
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            #expect(head.contains("Sec-WebSocket-Accept: ") && !head.contains(WireClient.acceptance))
            client.close()
            #expect(try run.end(ofConnection: 1) == "accepted with a wrong hash")
            try Self.expectService(run)
        }
    }

    @Test(arguments: [("http-end-of-stream", WireClient.End.endOfStream), ("http-reset", .reset)])
    func `The connection ends before the upgrade`(name: String, end: WireClient.End) async throws {
        try await withScenario(file: name) { run in
            let client = try WireClient(run.address)
            client.request()
            #expect(try client.head() == nil)
            #expect(client.end == end && client.rest.isEmpty)
            client.close()
            try Self.expectService(run)
        }
    }

    @Test func `What is no request for a WebSocket is answered with 400`() async throws {
        try await withScenario("connection *\n accept") { run in
            let client = try WireClient(run.address)
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try client.head()?.hasPrefix("HTTP/1.1 400 ") == true)
        }
    }

    @Test func `What comes right behind the request is heard`() async throws {
        try await withScenario("connection *\n wait 200ms\n accept\n trades 5") { run in
            let client = try WireClient(run.address)
            client.request()
            client.subscribe("AAPL")
            #expect(try client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
            _ = try client.trades()
        }
    }

    @Test func `A request that does not end is given up`() async throws {
        try await withScenario("connection *\n accept") { run in
            let client = try WireClient(run.address)
            client.send(String(repeating: "x", count: 20_000))
            #expect(try run.end(ofConnection: 1) == "the client's request is too long")
        }
    }

    @Test func `Without the right token the answer is 401`() async throws {
        try await withScenario("connection *\n accept\n trades forever", { $0.token = "right" }) { run in
            let client = try WireClient(run.address)
            client.request(token: "wrong")
            #expect(try client.head()?.hasPrefix("HTTP/1.1 401 ") == true)
            try WireClient(run.address).open(token: "right")
            #expect(!run.log.contains("right") && !run.log.contains("=wrong"))
        }
    }

    /// Expects the next connection to bring trades.
    private static func expectService(_ run: ScenarioRun) throws {
        let client = try WireClient(run.address)
        try client.open("AAPL")
        _ = try client.trades()
    }
}
