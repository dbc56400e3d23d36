import ServiceKit
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import Producer

@Suite(.timeLimit(.minutes(10))) struct FeedProbeTests {
    /// A feed that answers each upgrade in the same way.
    private final class Feed: WebSocketServerHandler, Sendable {
        private let response: UpgradeResponse
        private let state = Mutex((queries: [String?](), closed: 0))

        init(_ response: UpgradeResponse) { self.response = response }

        /// What stood under `token` in each request's query, and under `x`.
        var tokens: [String?] { state.withLock { $0.queries } }
        var closed: Int { state.withLock { $0.closed } }

        func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse {
            state.withLock { $0.queries += [request.queryValue("token"), request.queryValue("x")] }
            return response
        }
        func opened(_ connection: ServerConnection) {}
        func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {}
        func closed(_ connection: ServerConnection) { state.withLock { $0.closed += 1 } }
    }

    /// Probes as the program does: the client is set up for the address with its token.
    private static func probe(_ address: String) async throws {
        try await onThread {
            try FeedProbe.run(
                WebSocketClientConfiguration(url: try feedURL(address, token: "hidden")), address: address,
                logger: Logger(label: "test", output: { _ in }))
        }
    }

    @Test(arguments: [401, 403, 429]) func `a refusal for the lack of a key is an answer`(status: Int) async throws {
        let feed = Feed(.refuse(HTTPResponse(status: status, text: "no")))
        try await withFeed(feed) { url in try await Self.probe("\(url)/path?x=1&token=hidden") }
        #expect(feed.tokens == [nil, nil], "neither the key nor another part of the query is sent")
    }

    @Test func `a feed that takes any client is left at once`() async throws {
        let feed = Feed(.accept)
        try await withFeed(feed) { url in
            try await Self.probe(url)
            try await eventually("the connection is closed") { feed.closed == 1 }
        }
        #expect(feed.tokens == [nil, nil])
    }

    @Test(arguments: [200, 301, 404, 503]) func `another answer is none of a feed`(status: Int) async throws {
        try await withFeed(Feed(.refuse(HTTPResponse(status: status, text: "no")))) { url in
            let error = await #expect(throws: FeedUnreachable.self) { try await Self.probe(url) }
            let text = try #require(error).description
            #expect(text.contains("\(url): ") && text.contains("HTTP status \(status)") && text.contains("--feed-url"))
        }
    }

    @Test func `a server without TLS is said, with what to do`() async throws {
        try await withFeed(Feed(.accept)) { url in
            let error = await #expect(throws: FeedUnreachable.self) { try await Self.probe("wss" + url.dropFirst(2)) }
            #expect(error?.description.contains("--feed-ca-file") == true)
        }
    }
}
