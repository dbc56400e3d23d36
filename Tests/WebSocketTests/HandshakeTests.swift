import Foundation
import LocalServers
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// What can happen between the call that connects and the upgrade.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct HandshakeTests {
    /// How an attempt ends to a peer that reads the request and answers with these bytes, and then waits or ends the stream.
    private func closure(
        ofAnswer answer: [UInt8], staysOpen: Bool = false,
        configure: (inout WebSocketClientConfiguration) -> Void = { _ in }
    ) async throws -> WebSocketClosure {
        let peer = try PlainPeer { socket in
            _ = PlainPeer.readHead(socket)
            PlainPeer.write(socket, answer)
            if staysOpen { PlainPeer.drain(socket) }
        }
        defer { peer.stop() }
        return try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/?token=s3cret", configure: configure)
    }

    private func failure(_ end: WebSocketClosure) throws -> String {
        guard case .handshakeFailed(let text) = end.cause else { throw TestFailure("\(end)") }
        #expect(!end.wasOpen)
        return text
    }

    // MARK: Refusals

    @Test(arguments: [200, 204, 400, 401, 403, 404, 426, 429, 500, 502, 503, 524], ["1.0", "1.1"])
    func `A refusal arrives with its status`(status: Int, version: String) async throws {
        let end = try await closure(ofAnswer: Array("HTTP/\(version) \(status) No\r\nContent-Length: 0\r\n\r\n".utf8))
        #expect(end.cause == .refused(status: status, retryAfter: nil))
        #expect(!end.wasOpen)
    }

    @Test(arguments: [
        ("0", 0), ("61", 61), ("61 ", 61), ("86400", 86_400), ("86401", nil), ("9223372036854775807", nil),
        ("99999999999999999999999", nil), ("-1", nil), ("1.5", nil), ("soon", nil), ("", nil),
        ("Wed, 21 Oct 2037 07:28:00 GMT", nil), (String(repeating: "9", count: 2000), nil),
    ])
    func `A refusal's Retry-After counts when it is seconds up to a day`(value: String, seconds: Int?) async throws {
        let end = try await closure(
            ofAnswer: Array("HTTP/1.1 429 Too Many Requests\r\nRetry-After: \(value)\r\nContent-Length: 0\r\n\r\n".utf8)
        )
        #expect(end.cause == .refused(status: 429, retryAfter: seconds.map { .seconds($0) }))
    }

    @Test func `A refusal with a body and many headers arrives with its status`() async throws {
        let cookies = (0..<40).map { "Set-Cookie: c\($0)=\(String(repeating: "x", count: 250))\r\n" }.joined()
        let body = String(repeating: "<p>Just a moment</p>", count: 500)
        let answer =
            "HTTP/1.1 403 Forbidden\r\n\(cookies)Retry-After: 5\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        #expect(
            try await closure(ofAnswer: Array(answer.utf8)).cause == .refused(status: 403, retryAfter: .seconds(5)))
    }

    @Test(arguments: [301, 302, 307, 308])
    func `A redirect is not followed`(status: Int) async throws {
        let elsewhere = try PlainPeer { PlainPeer.drain($0) }
        defer { elsewhere.stop() }
        let end = try await closure(
            ofAnswer: Array(
                "HTTP/1.1 \(status) Moved\r\nLocation: ws://127.0.0.1:\(elsewhere.port)/\r\n\r\n".utf8))
        #expect(end.cause == .refused(status: status, retryAfter: nil))
        #expect(elsewhere.connectionCount == 0)
    }

    @Test func `More connections than a server allows are refused`() async throws {
        var configuration = WebSocketServerConfiguration()
        configuration.maxConnections = 1
        try await withServer(configuration) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/") { _, first in
                try await eventually("the first opens") { first.log.contains(.opened) }
                let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/")
                #expect(end.cause == .refused(status: 503, retryAfter: nil))
            }
        }
    }

    @Test func `The client does not connect again by itself`() async throws {
        let peer = try PlainPeer.upgrading { PlainPeer.write($0, Wire.frame(Wire.close, Wire.closing(1001))) }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
            try await eventually("the connection ends") { !probe.closures.isEmpty }
            try await Task.sleep(for: .milliseconds(500))
            #expect(probe.closures.count == 1)
        }
        #expect(peer.connectionCount == 1)
    }

    // MARK: The request

    @Test func `The request offers no extension and nothing but what the protocol asks for`() async throws {
        let head = Mutex("")
        let peer = try PlainPeer { socket in head.withLock { $0 = PlainPeer.readHead(socket) } }
        defer { peer.stop() }
        _ = try await WebSocketTests.closure(of: "ws://localhost:\(peer.port)/a?token=s3cret")
        let lines = head.withLock { $0.split(separator: "\r\n").map(String.init) }
        #expect(lines.first == "GET /a?token=s3cret HTTP/1.1")
        let headers = Dictionary(
            uniqueKeysWithValues: lines.dropFirst().map { line in
                let parts = line.split(separator: ":", maxSplits: 1)
                return (parts[0].lowercased(), parts[1].trimmingCharacters(in: .whitespaces))
            })
        #expect(headers["host"] == "localhost:\(peer.port)")
        #expect(headers["upgrade"] == "websocket")
        #expect(headers["connection"] == "Upgrade")
        #expect(headers["sec-websocket-version"] == "13")
        #expect(Data(base64Encoded: headers["sec-websocket-key"] ?? "")?.count == 16)
        #expect(
            Set(headers.keys).subtracting([
                "host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key", "pragma",
                "cache-control",
            ]).isEmpty, "\(headers)")
    }

    @Test(arguments: ["permessage-deflate", "permessage-deflate; server_no_context_takeover", "x-unknown"])
    func `An extension that was not offered is refused`(name: String) async throws {
        let peer = try PlainPeer { socket in
            let head = PlainPeer.readHead(socket)
            PlainPeer.write(
                socket, PlainPeer.acceptance(head, headers: "Sec-WebSocket-Extensions: \(name)\r\n"))
            // Compressed and plain frames, none of which may arrive.
            PlainPeer.write(
                socket, Wire.frame(Wire.text, [0x4A, 0x04, 0x00], reserved: 0x40) + Wire.frame(Wire.text, "a"))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let probe = ClientProbe()
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(peer.port)/", probe)
        #expect(try failure(end).contains("ext"))
        #expect(probe.messages.isEmpty)
    }

    // MARK: Answers that make no sense

    @Test(arguments: [
        "", "\r\n\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "220 mail ESMTP\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: d3JvbmcgaGFzaCBpdCBpcw==\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnec",
    ])
    func `An end or nonsense before the upgrade is a failed handshake`(answer: String) async throws {
        #expect(try await !failure(closure(ofAnswer: Array(answer.utf8))).isEmpty)
    }

    @Test(arguments: 0..<20)
    func `Any bytes instead of an answer end the attempt`(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let noise = (0..<random.below(3000)).map { _ in UInt8(random.below(256)) }
        _ = try await failure(closure(ofAnswer: noise))
    }

    @Test(arguments: [false, true])
    func `A reset before the upgrade is a failed handshake`(withAnswer: Bool) async throws {
        let peer = try PlainPeer { socket in
            // Not before the connection is one to the client.
            var byte: UInt8 = 0
            recv(socket, &byte, 1, Int32(MSG_PEEK))
            if withAnswer {
                _ = PlainPeer.readHead(socket)
                PlainPeer.write(socket, "HTTP/1.1 101 Switching")
            }
            PlainPeer.resetAtEnd(socket)
        }
        defer { peer.stop() }
        _ = try await failure(WebSocketTests.closure(of: "ws://127.0.0.1:\(peer.port)/"))
    }

    @Test(arguments: [(14 << 10, true), (17 << 10, false), (4 << 20, false)])
    func `An answer may have 16 KiB of headers and no more`(size: Int, isAccepted: Bool) async throws {
        let peer = try PlainPeer { socket in
            let cookie = "Set-Cookie: a=\(String(repeating: "x", count: 1000))\r\n"
            let cookies = String(repeating: cookie, count: size / 1000)
            PlainPeer.write(socket, PlainPeer.acceptance(PlainPeer.readHead(socket), headers: cookies))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
            try await eventually("the attempt is over") { !probe.log.isEmpty }
            if isAccepted {
                #expect(probe.log == [.opened])
            } else {
                _ = try failure(#require(probe.closures.first))
            }
        }
    }

    // MARK: Time

    @Test func `A server that accepts and never answers runs into the deadline`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        let start = ContinuousClock.now
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", configure: { $0.handshakeTimeout = .milliseconds(300) })
        let took = ContinuousClock.now - start
        #expect(end.cause == .handshakeTimedOut(.milliseconds(300)))
        #expect(took >= .milliseconds(300) && took < .seconds(60))
    }

    @Test func `A server that answers a byte at a time runs into the deadline`() async throws {
        let peer = try PlainPeer { socket in
            for byte in "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" {
                PlainPeer.write(socket, String(byte))
                usleep(30_000)
            }
        }
        defer { peer.stop() }
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", configure: { $0.handshakeTimeout = .milliseconds(300) })
        #expect(end.cause == .handshakeTimedOut(.milliseconds(300)))
    }

    @Test func `An answer that comes a byte at a time within the deadline is accepted`() async throws {
        let peer = try PlainPeer { socket in
            for byte in PlainPeer.acceptance(PlainPeer.readHead(socket)) {
                PlainPeer.write(socket, String(byte))
                usleep(500)
            }
            PlainPeer.write(socket, Wire.frame(Wire.text, "a"))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
            try await eventually("the message comes") { probe.messages == [[0x61]] }
        }
    }

    @Test func `A TCP connection that never comes about runs into the deadline`() async throws {
        let (sockets, port) = try PlainPeer.unanswering()
        defer { for socket in sockets { close(socket) } }
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(port)/", configure: { $0.handshakeTimeout = .milliseconds(300) })
        #expect(end.cause == .handshakeTimedOut(.milliseconds(300)))
    }

    @Test func `A TLS handshake that is not answered runs into the deadline`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        let end = try await WebSocketTests.closure(
            of: "wss://127.0.0.1:\(peer.port)/", configure: { $0.handshakeTimeout = .milliseconds(300) })
        #expect(end.cause == .handshakeTimedOut(.milliseconds(300)))
    }

    // MARK: Names and addresses

    @Test func `A name whose look-up hangs runs into the deadline while the loop goes on`() async throws {
        let release = Mutex(false)
        let probe = ClientProbe()
        try await withClient(
            "ws://slow.example/", probe, configure: { $0.handshakeTimeout = .milliseconds(500) },
            prepare: { client in
                client.schedule(after: .milliseconds(100), token: 1)
                client.resolve = { _ in
                    while !release.withLock({ $0 }) { usleep(5_000) }
                    return .addresses(["127.0.0.1"])
                }
            }
        ) { _, probe in
            try await eventually("the attempt ends") { !probe.closures.isEmpty }
            release.withLock { $0 = true }
        }
        #expect(probe.log.first == .timer(1))
        #expect(probe.closures.map(\.cause) == [.handshakeTimedOut(.milliseconds(500))])
    }

    @Test func `A host without an address is unresolvable`() async throws {
        let end = try await WebSocketTests.closure(of: "ws://no-such-host.invalid/")
        guard case .unresolvable(let text) = end.cause else { throw TestFailure("\(end)") }
        #expect(!text.isEmpty)
    }

    @Test func `A port where nobody listens is unreachable`() async throws {
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(try FreePort.find())/")
        guard case .unreachable = end.cause else { throw TestFailure("\(end)") }
    }

    @Test func `When one address refuses and one does not answer, the next is dialled`() async throws {
        let peer = try PlainPeer.upgrading { PlainPeer.drain($0) }
        defer { peer.stop() }
        let (sockets, _) = try PlainPeer.unanswering("127.0.0.3", port: peer.port)
        defer { for socket in sockets { close(socket) } }
        try await withClient(
            "ws://several.example:\(peer.port)/", configure: { $0.handshakeTimeout = .seconds(8) },
            prepare: { $0.resolve = { _ in .addresses(["127.0.0.2", "127.0.0.3", "127.0.0.1"]) } }
        ) { _, probe in
            try await eventually("the connection opens") { !probe.log.isEmpty }
            #expect(probe.log == [.opened])
        }
    }

    // MARK: Proxies

    @Test func `The environment's proxy is ignored unless it is asked for`() async {
        await #expect(processExitsWith: .success) {
            let proxy = try PlainPeer { socket in
                guard PlainPeer.readHead(socket).hasPrefix("CONNECT feed.example:9 HTTP/1.") else { return }
                PlainPeer.write(socket, "HTTP/1.1 200 Connected\r\n\r\n")
                PlainPeer.write(socket, PlainPeer.acceptance(PlainPeer.readHead(socket)))
                PlainPeer.drain(socket)
            }
            setenv("http_proxy", "127.0.0.1:\(proxy.port)", 1)
            let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(try FreePort.find())/")
            guard case .unreachable = end.cause, proxy.connectionCount == 0 else { throw TestFailure("\(end)") }
            try await withClient("ws://feed.example:9/", configure: { $0.usesProxy = true }) { _, probe in
                try await eventually("the connection opens", within: hangLimit) { probe.log == [.opened] }
            }
        }
    }
}
