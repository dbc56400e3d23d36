import Foundation
import Synchronization
import Testing

@testable import WebSocket

@Suite(.timeLimit(.minutes(10)))
struct HTTPServerTests {
    private func withHTTPServer(_ body: (HTTPServer) async throws -> Void) async throws {
        let large = [UInt8](repeating: UInt8(ascii: "m"), count: 3_000_000)
        let server = try HTTPServer(port: 0) { path in
            switch path {
            case "/metrics": HTTPResponse(status: 200, contentType: "text/plain; version=0.0.4", text: "up 1\n")
            case "/readyz": HTTPResponse(status: 503, text: "not ready\n")
            case "/large": HTTPResponse(status: 200, body: large)
            default: nil
            }
        }
        let thread = LoopThread { server.run() }
        do {
            try await body(server)
        } catch {
            server.stop()
            throw error
        }
        server.stop()
        try await thread.join()
    }

    @Test func `A known path answers with its status, type and body`() async throws {
        try await withHTTPServer { server in
            let response = try await exchange(server.port, "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(response.contains("\r\nContent-Type: text/plain; version=0.0.4\r\n"))
            #expect(response.contains("\r\nContent-Length: 5\r\n"))
            #expect(response.hasSuffix("\r\n\r\nup 1\n"))
            let second = try await exchange(server.port, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(second.hasPrefix("HTTP/1.1 503 "))
        }
    }

    @Test func `A large body arrives whole`() async throws {
        try await withHTTPServer { server in
            let response = try await exchange(server.port, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.split(separator: "\r\n\r\n", maxSplits: 1).last?.utf8.count == 3_000_000)
        }
    }

    @Test func `HEAD answers without the body`() async throws {
        try await withHTTPServer { server in
            let response = try await exchange(server.port, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(response.contains("\r\nContent-Length: 5\r\n"))
            #expect(response.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func `An unknown path is 404`() async throws {
        try await withHTTPServer { server in
            let response = try await exchange(server.port, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.hasPrefix("HTTP/1.1 404 "))
        }
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    func `Other methods are 405`(method: String) async throws {
        try await withHTTPServer { server in
            let request = "\(method) /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
            let response = try await exchange(server.port, request)
            #expect(response.hasPrefix("HTTP/1.1 405 "))
            #expect(response.contains("\r\nAllow: GET, HEAD\r\n"))
        }
    }

    @Test func `Many requests one after the other are all answered`() async throws {
        try await withHTTPServer { server in
            for _ in 0..<50 {
                let response = try await exchange(server.port, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                try #require(response.hasSuffix("up 1\n"))
            }
        }
    }

    @Test func `A wish to upgrade is ignored`() async throws {
        try await withHTTPServer { server in
            let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
            let response = try await exchange(server.port, "GET /metrics HTTP/1.1\r\nHost: a\r\n\(upgrade)\r\n")
            #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(response.hasSuffix("up 1\n"))
        }
    }

    @Test func `A connection beyond the limit waits until another ends`() async throws {
        let server = try HTTPServer(port: 0, maxConnections: 2) { _ in HTTPResponse(status: 200, text: "up 1\n") }
        let thread = LoopThread { server.run() }
        defer { server.stop() }
        let first = try connectPlainly(to: server.port)
        let second = try connectPlainly(to: server.port)
        let answered = Mutex(false)
        async let response = {
            defer { answered.withLock { $0 = true } }
            return try await exchange(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        }()
        try await Task.sleep(for: .milliseconds(300))
        #expect(!answered.withLock { $0 })
        close(first)
        close(second)
        #expect(try await response.hasSuffix("up 1\n"))
        server.stop()
        try await thread.join()
    }

    @Test func `A port that is taken is named in the error`() async throws {
        try await withHTTPServer { server in
            let error = #expect(throws: WebSocketError.self) { try HTTPServer(port: server.port) { _ in nil } }
            #expect(error?.code == .cannotListen)
            #expect(error?.isRetriable == true)
            #expect(error?.message.contains("127.0.0.1 port \(server.port): Address already in use") == true)
            #expect(error?.message.contains("configure another port") == true)
        }
    }

    @Test func `An address that is none is named in the error`() {
        let error = #expect(throws: WebSocketError.self) { try HTTPServer(address: "nowhere", port: 0) { _ in nil } }
        #expect(error?.message.contains("nowhere") == true)
    }

    @Test func `A plain request to a WebSocket server is told so`() async throws {
        try await withServer { server in
            let response = try await exchange(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(response.hasPrefix("HTTP/1.1 426 "))
        }
    }
}
