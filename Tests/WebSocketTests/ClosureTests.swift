import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

@Suite(.timeLimit(.minutes(2)))
struct ClosureTests {
    /// How a connection ends to a server that sends these bytes as they are once it is open.
    private func closure(
        afterWire bytes: [UInt8], configure: (inout WebSocketClientConfiguration) -> Void = { _ in }
    ) async throws -> WebSocketClosure {
        let server = ServerProbe(onOpened: { connection in bytes.withUnsafeBytes { _ = connection.send(wire: $0) } })
        return try await withServer(.init(), server) { server in
            try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/", configure: configure)
        }
    }

    private func closure(
        ofUpgrade response: UpgradeResponse
    ) async throws -> WebSocketClosure {
        try await withServer(.init(), ServerProbe(onUpgrade: { _ in response })) { server in
            try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/?token=s3cret")
        }
    }

    @Test(arguments: [200, 301, 401, 403, 429, 503])
    func `A refusal arrives with its status`(status: Int) async throws {
        let end = try await closure(ofUpgrade: .refuse(HTTPResponse(status: status, text: "no")))
        #expect(end.cause == .refused(status: status, retryAfter: nil))
        #expect(!end.wasOpen)
    }

    @Test func `A refusal arrives with its Retry-After`() async throws {
        let end = try await closure(ofUpgrade: .refuse(HTTPResponse(status: 429, headers: [("Retry-After", "61")])))
        #expect(end.cause == .refused(status: 429, retryAfter: .seconds(61)))
    }

    @Test func `More connections than allowed are refused`() async throws {
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

    @Test func `A port where nobody listens is unreachable`() async throws {
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(PlainPeer.unusedPort())/")
        guard case .unreachable = end.cause else { return #expect(Bool(false), "\(end)") }
    }

    @Test func `A host without an address is unresolvable`() async throws {
        let end = try await WebSocketTests.closure(of: "ws://no-such-host.invalid/")
        guard case .unresolvable(let text) = end.cause else { return #expect(Bool(false), "\(end)") }
        #expect(!text.isEmpty)
    }

    @Test func `A server that accepts and never answers runs into the deadline`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        let start = ContinuousClock.now
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", configure: { $0.handshakeTimeout = .milliseconds(300) })
        let took = ContinuousClock.now - start
        #expect(end.cause == .handshakeTimedOut(.milliseconds(300)))
        #expect(took >= .milliseconds(300) && took < .seconds(15))
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

    @Test(arguments: [
        "", "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: d3JvbmcgaGFzaCBpdCBpcw==\r\n\r\n",
    ])
    func `An end or nonsense before the upgrade is a failed handshake`(answer: String) async throws {
        let peer = try PlainPeer { socket in
            _ = PlainPeer.readHead(socket)
            PlainPeer.write(socket, answer)
        }
        defer { peer.stop() }
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(peer.port)/")
        guard case .handshakeFailed(let text) = end.cause else { return #expect(Bool(false), "\(end)") }
        #expect(!text.isEmpty)
    }

    @Test(arguments: [(1000, "bye"), (1001, ""), (1008, "policy"), (1011, "r\u{E9}ason"), (4001, "own")])
    func `Code and reason of the server's close frame arrive`(code: UInt16, reason: String) async throws {
        let server = ServerProbe(onOpened: { $0.close(code: code, reason: reason) })
        let end = try await withServer(.init(), server) { server in
            try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/")
        }
        #expect(end.cause == .closedByServer(code: code, reason: reason))
        #expect(end.wasOpen)
    }

    @Test(arguments: [false, true])
    func `An end without a close frame is a lost connection`(withReset: Bool) async throws {
        let server = ServerProbe(onOpened: { $0.drop(withReset: withReset) })
        let end = try await withServer(.init(), server) { server in
            try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/")
        }
        #expect(end.cause == .connectionLost)
        #expect(end.wasOpen)
    }

    @Test func `What was queued goes out before the client's close frame`() async throws {
        let got = Mutex<[String]>([])
        let server = ServerProbe(onMessage: { bytes, _ in
            got.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
        })
        let probe = ClientProbe(onOpened: { client in
            #expect(client.send("one"))
            #expect(client.send("two"))
            client.close(code: 4000)
            #expect(!client.send("three"))
        })
        let end = try await withServer(.init(), server) { server in
            try await WebSocketTests.closure(of: "ws://127.0.0.1:\(server.port)/", probe)
        }
        #expect(end.cause == .closedByClient(code: 4000))
        #expect(got.withLock { $0 } == ["one", "two"])
    }

    @Test func `A close that the server does not answer ends all the same`() async throws {
        let peer = try PlainPeer { socket in
            PlainPeer.write(socket, PlainPeer.acceptance(PlainPeer.readHead(socket)))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let start = ContinuousClock.now
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", ClientProbe(onOpened: { $0.close() }))
        #expect(end.cause == .closedByClient(code: 1000))
        #expect(ContinuousClock.now - start < .seconds(15))
    }

    @Test func `Silence for the idle time ends the connection`() async throws {
        try await withServer { server in
            let start = ContinuousClock.now
            let end = try await WebSocketTests.closure(
                of: "ws://127.0.0.1:\(server.port)/", configure: { $0.idleTimeout = .milliseconds(400) })
            #expect(end.cause == .idle(.milliseconds(400)))
            #expect(ContinuousClock.now - start >= .milliseconds(400))
        }
    }

    @Test func `Pings alone keep a connection from being idle`() async throws {
        let pings = PingingServer()
        let server = try WebSocketServer(.init(), handler: pings)
        let thread = LoopThread { server.run() }
        defer { server.stop() }
        try await withClient("ws://127.0.0.1:\(server.port)/", configure: { $0.idleTimeout = .seconds(3) }) {
            _, probe in
            try await eventually("the pings have taken twice the idle time") {
                pings.count.load(ordering: .relaxed) >= 40
            }
            #expect(probe.log == [.opened])
        }
        server.stop()
        try await thread.join()
    }

    @Test func `A message beyond the limit ends the connection`() async throws {
        let end = try await closure(
            afterWire: [0x81, 126, 0x03, 0xE9] + [UInt8](repeating: 0x61, count: 1001),
            configure: { $0.maxMessageBytes = 1000 })
        #expect(end.cause == .messageTooBig(limit: 1000))
    }

    @Test func `Fragments beyond the limit end the connection`() async throws {
        let fragment = [126, 0x01, 0xF4] + [UInt8](repeating: 0x61, count: 500)
        let end = try await closure(
            afterWire: [0x01] + fragment + [0x00] + fragment + [0x80, 1, 0x61], configure: { $0.maxMessageBytes = 1000 }
        )
        #expect(end.cause == .messageTooBig(limit: 1000))
    }

    @Test func `A binary frame ends the connection`() async throws {
        #expect(try await closure(afterWire: [0x82, 2, 0x00, 0x01]).cause == .binaryFrame)
    }

    @Test(arguments: [[0x81, 1, 0xFF], [0x81, 3, 0x61, 0x62, 0xC3], [0x01, 1, 0xC3, 0x80, 1, 0x61]] as [[UInt8]])
    func `A message that is not UTF-8 ends the connection`(wire: [UInt8]) async throws {
        #expect(try await closure(afterWire: wire).cause == .invalidUTF8)
    }

    @Test func `A broken frame is a lost connection`() async throws {
        #expect(try await closure(afterWire: [0xF1, 1, 0x61]).cause == .connectionLost)
    }

    @Test func `An attempt can be broken off`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        let probe = ClientProbe()
        try await withClient("ws://127.0.0.1:\(peer.port)/", probe) { client, probe in
            probe.perform(client) { $0.close(code: 1001) }
            try await eventually("the attempt ends") { !probe.closures.isEmpty }
        }
        #expect(probe.closures.map(\.cause) == [.closedByClient(code: 1001)])
    }

    @Test func `The same client connects fifty times, one closure each`() async throws {
        let count = Mutex(0)
        let probe = ClientProbe(onClosed: { client in
            if count.withLock({ count in
                count += 1; return count
            }) < 50 {
                client.connect()
            }
        })
        let server = ServerProbe(onOpened: { connection in
            switch connection.identifier % 3 {
            case 0: connection.close(code: 1001)
            case 1: connection.drop()
            default: connection.drop(withReset: true)
            }
        })
        try await withServer(.init(), server) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/", probe) { _, probe in
                try await eventually("fifty connections end", within: .seconds(20)) { probe.closures.count == 50 }
            }
        }
        #expect(probe.log.filter { $0 == .opened }.count == 50)
        #expect(probe.closures.count == 50)
        #expect(server.openedCount == 50)
        #expect(server.closedCount == 50)
    }

    @Test func `Stopping from another thread is quick and tells the handler`() async throws {
        let probe = ClientProbe()
        try await withServer { server in
            let client = try WebSocketClient(
                .init(url: WebSocketURL("ws://127.0.0.1:\(server.port)/")), handler: probe)
            let thread = LoopThread { client.run() }
            try await eventually("the connection opens") { probe.log.contains(.opened) }
            let start = ContinuousClock.now
            client.stop()
            try await thread.join()
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(probe.closures.map(\.cause) == [.stopped])
            client.wake()
            client.stop()
        }
    }

    @Test func `Stopping is quick while a server does not answer the handshake`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        let probe = ClientProbe()
        let client = try WebSocketClient(.init(url: WebSocketURL("ws://127.0.0.1:\(peer.port)/")), handler: probe)
        let thread = LoopThread { client.run() }
        try await Task.sleep(for: .milliseconds(50))
        let start = ContinuousClock.now
        client.stop()
        try await thread.join()
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(probe.closures.map(\.cause) == [.stopped])
    }

    @Test func `A client that never ran can be dropped`() throws {
        _ = try WebSocketClient(.init(url: WebSocketURL("ws://127.0.0.1:1/")), handler: ClientProbe())
        _ = try WebSocketServer(.init(), handler: ServerProbe())
    }
}

/// A server that sends nothing but pings, twenty a second.
private final class PingingServer: WebSocketServerHandler, @unchecked Sendable {
    let count = Atomic(0)
    private var connection: ServerConnection?

    func opened(_ connection: ServerConnection) {
        self.connection = connection
        connection.server.schedule(after: .milliseconds(150), token: 1)
    }
    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {}
    func closed(_ connection: ServerConnection) { self.connection = nil }
    func timer(_ token: Int, _ server: WebSocketServer) {
        guard let connection else { return }
        ([0x89, 0] as [UInt8]).withUnsafeBytes { _ = connection.send(wire: $0) }
        count.add(1, ordering: .relaxed)
        server.schedule(after: .milliseconds(150), token: 1)
    }
}
