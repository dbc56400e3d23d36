import Foundation
import LocalServers
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

@Suite(.timeLimit(.minutes(10)))
struct ClosureTests {
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
        let end = try await WebSocketTests.closure(
            of: "ws://127.0.0.1:\(peer.port)/", ClientProbe(onOpened: { $0.close() }))
        #expect(end.cause == .closedByClient(code: 1000))
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
                try await eventually("fifty connections end") { probe.closures.count == 50 }
            }
        }
        #expect(probe.log.filter { $0 == .opened }.count == 50)
        #expect(probe.closures.count == 50)
        #expect(server.openedCount == 50)
        #expect(server.closedCount == 50)
    }
}
