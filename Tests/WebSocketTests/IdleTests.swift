import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// The watchdog over a connection on which nothing comes.
@Suite(.timeLimit(.minutes(10)))
struct IdleTests {
    @Test func `Silence for the idle time ends the connection`() async throws {
        try await withServer { server in
            let start = ContinuousClock.now
            let end = try await WebSocketTests.closure(
                of: "ws://127.0.0.1:\(server.port)/", configure: { $0.idleTimeout = .milliseconds(400) })
            #expect(end.cause == .idle(.milliseconds(400)))
            #expect(end.wasOpen)
            #expect(ContinuousClock.now - start >= .milliseconds(400))
        }
    }

    @Test func `A server that goes silent after messages is half-open, and given up`() async throws {
        let peer = try PlainPeer.upgrading { socket in
            for _ in 0..<20 {
                PlainPeer.write(socket, Wire.frame(Wire.text, "a"))
                usleep(120_000)
            }
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let probe = ClientProbe()
        let start = ContinuousClock.now
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", probe, configure: { $0.idleTimeout = .seconds(2) })
        #expect(end.cause == .idle(.seconds(2)))
        #expect(probe.messages.count == 20)
        #expect(ContinuousClock.now - start >= .milliseconds(19 * 120 + 1_980))
    }

    /// Its own policy would be a ping after 300 s and the end after 310 s without a pong, whatever else comes.
    @Test func `libwebsockets does not watch over the connection by itself`() async {
        await #expect(processExitsWith: .success) {
            let lines = Mutex<[String]>([])
            LibwebsocketsLog.set(upTo: .info) { _, line in lines.withLock { $0.append(line) } }
            let peer = try PlainPeer.upgrading { PlainPeer.drain($0) }
            try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
                try await eventually("the connection opens") { probe.log == [.opened] }
            }
            let log = lines.withLock { $0 }
            guard log.contains(where: { $0.contains("lws_client_connect") }) else { throw TestFailure("no log") }
            if let line = log.first(where: { $0.contains("validity timer") }) { throw TestFailure(line) }
        }
    }

    /// Whatever comes counts: frames that libwebsockets answers or keeps to itself, and parts of frames.
    @Test(arguments: [
        Wire.frame(Wire.ping), Wire.frame(Wire.pong), Wire.frame(Wire.text, "a"),
        Wire.frame(Wire.text, [UInt8](repeating: 0x61, count: 100_000)),
    ])
    func `Any frame keeps a connection from being idle, data without a pong too`(frame: [UInt8]) async throws {
        let count = Atomic(0)
        let peer = try PlainPeer.upgrading { socket in
            var isOver = false
            while !isOver {
                // A hundredth of the frame at a time where it is a long one.
                for start in stride(from: 0, to: frame.count, by: 1000) where !isOver {
                    let piece = frame[start..<min(start + 1000, frame.count)]
                    isOver = piece.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } < 0
                    count.add(1, ordering: .relaxed)
                    usleep(50_000)
                }
            }
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/", configure: { $0.idleTimeout = .seconds(2) }) { _, probe in
            try await eventually("twice the idle time has passed") { count.load(ordering: .relaxed) >= 80 }
            #expect(probe.log == [.opened])
        }
    }
}
