import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

@Suite(.timeLimit(.minutes(10)))
struct MessageTests {
    /// A server that sends back what it gets.
    private static func echo() -> ServerProbe {
        ServerProbe(onMessage: { bytes, connection in connection.send(bytes) })
    }

    @Test(arguments: [0, 1, 125, 126, 4095, 4096, 4097, 65_535, 65_536, 131_073, 1 << 20])
    func `A message of any size comes back as it was sent`(size: Int) async throws {
        let text = String(repeating: "abcdefghijklmnopqrstuvwxy\u{E9}", count: size / 27 + 1).utf8.prefix(size)
        // The cut may fall into the two bytes of é: padding keeps the size.
        let message =
            String(decoding: text, as: UTF8.self).utf8.count == size
            ? String(decoding: text, as: UTF8.self) : String(decoding: text.dropLast(), as: UTF8.self) + "z"
        try #require(message.utf8.count == size)
        try await withServer(.init(), Self.echo()) { server in
            let probe = ClientProbe(onOpened: { client in #expect(client.send(message)) })
            try await withClient("ws://127.0.0.1:\(server.port)/", probe, configure: { $0.maxQueuedBytes = 2 << 20 }) {
                _, probe in
                try await eventually("the echo comes") { probe.messages.count == 1 }
            }
            #expect(probe.messages == [Array(message.utf8)])
        }
    }

    @Test func `Ten thousand messages keep their order`() async throws {
        let count = 10_000
        let next = Mutex(0)
        let server = ServerProbe(
            onOpened: { $0.requestWritable() },
            onWritable: { connection in
                next.withLock { next in
                    while next < count, connection.queuedBytes < 65_536 {
                        connection.send("\(next)")
                        next += 1
                    }
                    if next < count { connection.requestWritable() }
                }
            })
        try await withServer(.init(), server) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/") { _, probe in
                try await eventually("all messages come") { probe.messages.count == count }
                #expect(probe.messages == (0..<count).map { Array("\($0)".utf8) })
            }
        }
    }

    @Test func `Sent messages keep their order`() async throws {
        let probe = ClientProbe(onOpened: { client in
            for number in 0..<1_000 { #expect(client.send("\(number)")) }
        })
        try await withServer(.init(), Self.echo()) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/", probe) { _, probe in
                try await eventually("all come back") { probe.messages.count == 1_000 }
                #expect(probe.messages == (0..<1_000).map { Array("\($0)".utf8) })
            }
        }
    }

    @Test func `Fragments with a ping among them and an empty last one make one message`() async throws {
        let server = ServerProbe(onOpened: { connection in
            let wire: [UInt8] =
                [0x01, 2, 0x61, 0xC3] + [0x89, 1, 0x70] + [0x00, 0] + [0x00, 1, 0xA9] + [0x80, 0] + [0x81, 1, 0x62]
            wire.withUnsafeBytes { _ = connection.send(wire: $0) }
        })
        try await withServer(.init(), server) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/") { _, probe in
                try await eventually("both messages come") { probe.messages.count == 2 }
                #expect(probe.messages == [Array("aé".utf8), Array("b".utf8)])
            }
        }
    }

    @Test func `Frames that come in one segment with the upgrade's answer are not lost`() async throws {
        let peer = try PlainPeer { socket in
            let frames: [UInt8] = [0x81, 1, 0x61, 0x81, 1, 0x62]
            PlainPeer.write(socket, Array(PlainPeer.acceptance(PlainPeer.readHead(socket)).utf8) + frames)
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
            try await eventually("both messages come") { probe.messages == [[0x61], [0x62]] }
        }
    }

    @Test func `A message beyond the server's limit is refused by it`() async throws {
        var configuration = WebSocketServerConfiguration()
        configuration.maxMessageBytes = 1000
        try await withServer(configuration, Self.echo()) { server in
            let probe = ClientProbe(
                onOpened: { client in #expect(client.send(String(repeating: "a", count: 1000))) },
                onMessage: { _, client in #expect(client.send(String(repeating: "b", count: 1001))) })
            let end = try await closure(of: "ws://127.0.0.1:\(server.port)/", probe)
            #expect(end.cause == .closedByServer(code: 1009, reason: ""))
            #expect(probe.messages.map(\.count) == [1000])
        }
    }

    @Test func `A queue that is full refuses a message`() async throws {
        let results = Mutex<[Bool]>([])
        let probe = ClientProbe(onOpened: { client in
            results.withLock { $0 = [client.send("12345678"), client.send("123"), client.send("12")] }
        })
        try await withServer { server in
            try await withClient("ws://127.0.0.1:\(server.port)/", probe, configure: { $0.maxQueuedBytes = 10 }) {
                _, probe in
                try await eventually("the connection opens") { probe.log.contains(.opened) }
            }
        }
        #expect(results.withLock { $0 } == [true, false, true])
    }

    @Test func `The server sees path, query and the headers it asked for`() async throws {
        let seen = Mutex<UpgradeRequest?>(nil)
        let server = ServerProbe(onUpgrade: { request in
            seen.withLock { $0 = request }
            return .accept
        })
        var configuration = WebSocketServerConfiguration()
        configuration.headers = ["Host", "X-Nothing"]
        try await withServer(configuration, server) { server in
            try await withClient("ws://127.0.0.1:\(server.port)/a/b?token=s3%26cr%3Det%25&mode=x") { _, probe in
                try await eventually("the connection opens") { probe.log.contains(.opened) }
            }
            let request = try #require(seen.withLock { $0 })
            #expect(request.path == "/a/b")
            #expect(request.queryValue("token") == "s3&cr=et%")
            #expect(request.queryValue("mode") == "x")
            #expect(request.queryValue("none") == nil)
            #expect(request.headers == ["host": "127.0.0.1:\(server.port)"])
        }
    }

    @Test func `Timers come in order, move, and can be cancelled`() async throws {
        let probe = ClientProbe(onOpened: { client in
            // So far apart that a pause of this thread between two lines does not change the order.
            client.schedule(after: .milliseconds(3000), token: 1)
            client.schedule(after: .milliseconds(1000), token: 2)
            client.schedule(after: .milliseconds(1), token: 3)
            client.schedule(after: .milliseconds(2000), token: 3)
            client.schedule(after: .milliseconds(1500), token: 4)
            client.cancel(token: 4)
        })
        try await withServer { server in
            try await withClient("ws://127.0.0.1:\(server.port)/", probe) { _, probe in
                try await eventually("the last timer comes") { probe.log.contains(.timer(1)) }
                #expect(probe.log == [.opened, .timer(2), .timer(3), .timer(1)])
            }
        }
    }
}
