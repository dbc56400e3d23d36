import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// What a connection runs over. TLS needs the `openssl` command for its certificate.
enum Transport: CaseIterable, Sendable {
    case plain
    case tls

    static var available: [Transport] { Certificate.canBeMade ? allCases : [.plain] }
}

/// Holding the server back.
@Suite(.timeLimit(.minutes(10)))
struct FlowControlTests {
    /// Runs a server and a client of it for the length of a body.
    private func withConnection<Result>(
        over transport: Transport, _ server: ServerProbe, _ probe: ClientProbe,
        configure: (inout WebSocketClientConfiguration) -> Void = { _ in },
        _ body: (WebSocketClient, ClientProbe) async throws -> Result
    ) async throws -> Result {
        let certificate = transport == .tls ? try await Certificate.selfSigned("localhost") : nil
        var configuration = WebSocketServerConfiguration()
        configuration.maxQueuedBytes = 64 << 20
        configuration.certificateFile = certificate?.file
        configuration.privateKeyFile = certificate?.keyFile
        let result = try await withServer(configuration, server) { server in
            try await withClient(
                "\(transport == .tls ? "wss" : "ws")://localhost:\(server.port)/", probe,
                configure: {
                    $0.certificateAuthorityFile = certificate?.file
                    configure(&$0)
                }, body)
        }
        // The file of the authority is read until the client has been made; it goes with its last use.
        withExtendedLifetime(certificate) {}
        return result
    }

    /// A server that sends these bytes when a client connects, then does something else.
    private func sender(
        _ wire: [UInt8], then next: @escaping @Sendable (ServerConnection) -> Void = { _ in },
        onMessage: @escaping @Sendable (UnsafeRawBufferPointer, ServerConnection) -> Void = { _, _ in }
    ) -> ServerProbe {
        ServerProbe(
            onOpened: { connection in
                wire.withUnsafeBytes { _ = connection.send(wire: $0) }
                connection.requestWritable()
            }, onMessage: onMessage, onWritable: next)
    }

    private func texts(_ numbers: Range<Int>) -> [[UInt8]] { numbers.map { Array("\($0)".utf8) } }

    private func wire(_ numbers: Range<Int>) -> [UInt8] { texts(numbers).flatMap { Wire.frame(Wire.text, $0) } }

    /// A client that pauses with each message, and whether one came while it was paused.
    private final class Stepper: Sendable {
        private let paused = Mutex(false)
        private let broken = Mutex(false)

        var isBroken: Bool { broken.withLock { $0 } }

        func probe(onOpened: Bool = false, onMessage: Bool = true) -> ClientProbe {
            ClientProbe(
                onOpened: { [self] client in if onOpened { pause(client) } },
                onMessage: { [self] _, client in
                    if paused.withLock({ $0 }) { broken.withLock { $0 = true } }
                    if onMessage { pause(client) }
                })
        }

        func pause(_ client: WebSocketClient) {
            paused.withLock { $0 = true }
            client.pauseReceiving()
        }

        func resume(_ client: WebSocketClient) {
            paused.withLock { $0 = false }
            client.resumeReceiving()
        }
    }

    @Test(arguments: Transport.available)
    func `Pausing holds the server back and resuming loses nothing`(transport: Transport) async throws {
        let total = 400
        let size = 100_000
        let sent = Mutex(0)
        let payload = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        let server = ServerProbe(
            onOpened: { $0.requestWritable() },
            onWritable: { connection in
                sent.withLock { sent in
                    guard sent < total else { return }
                    payload.withUnsafeBytes { _ = connection.send($0) }
                    sent += 1
                    connection.requestWritable()
                }
            })
        let isFirst = Mutex(true)
        let probe = ClientProbe(onMessage: { _, client in
            if isFirst.withLock({ isFirst in
                defer { isFirst = false }; return isFirst
            }) {
                client.pauseReceiving()
            }
        })
        try await withConnection(over: transport, server, probe) { client, probe in
            try await eventually("the first message comes") { !probe.messages.isEmpty }
            // The server comes to a stop when the buffers of both sides are full, long before it has sent all.
            var last = 0
            var since = ContinuousClock.now
            try await eventually("the server stalls", within: hangLimit) {
                let now = sent.withLock { $0 }
                if now != last { (last, since) = (now, .now) }
                return now > 0 && ContinuousClock.now - since > .milliseconds(300)
            }
            #expect(last < total)
            #expect(probe.messages.count == 1)
            #expect(try await processorShare(of: client, probe, over: .seconds(1)) < 0.1)
            probe.perform(client) { $0.resumeReceiving() }
            try await eventually("all messages come", within: hangLimit) { probe.messages.count == total }
            #expect(probe.messages.allSatisfy { $0.count == size })
        }
    }

    @Test(arguments: Transport.available)
    func `Not one message comes after a pause, however many came in one segment`(transport: Transport) async throws {
        let stepper = Stepper()
        let count = 500
        try await withConnection(over: transport, sender(wire(0..<count)), stepper.probe()) { client, probe in
            for step in 1...count {
                try await eventually("message \(step) comes") { probe.messages.count >= step }
                // Once it is waited for what must not come; the handler looks each time.
                if step == 1 { try await Task.sleep(for: .milliseconds(300)) }
                try #require(probe.messages.count == step)
                if step < count { probe.perform(client) { stepper.resume($0) } }
            }
            #expect(probe.messages == texts(0..<count))
            #expect(!stepper.isBroken)
        }
    }

    @Test(arguments: Transport.available)
    func `A pause from opened on holds back the very first message`(transport: Transport) async throws {
        let stepper = Stepper()
        let server = sender(wire(0..<100))
        try await withConnection(
            over: transport, server, stepper.probe(onOpened: true, onMessage: false)
        ) { client, probe in
            try await eventually("the connection opens") { probe.log.contains(.opened) }
            try await Task.sleep(for: .milliseconds(300))
            #expect(probe.messages.isEmpty)
            probe.perform(client) { stepper.resume($0) }
            try await eventually("all messages come") { probe.messages == texts(0..<100) }
            #expect(!stepper.isBroken)
        }
    }

    @Test func `A pause from opened on holds back what came with the upgrade's answer`() async throws {
        let stepper = Stepper()
        let frames = wire(0..<100)
        let peer = try PlainPeer { socket in
            PlainPeer.write(socket, Array(PlainPeer.acceptance(PlainPeer.readHead(socket)).utf8) + frames)
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/", stepper.probe(onOpened: true)) { client, probe in
            try await eventually("the connection opens") { probe.log.contains(.opened) }
            try await Task.sleep(for: .milliseconds(300))
            #expect(probe.messages.isEmpty)
            for step in 1...100 {
                probe.perform(client) { stepper.resume($0) }
                try await eventually("message \(step) comes") { probe.messages.count >= step }
            }
            #expect(probe.messages == texts(0..<100))
            #expect(!stepper.isBroken)
        }
    }

    @Test(arguments: Transport.available)
    func `Pauses in the middle of fragmented and large messages lose nothing`(transport: Transport) async throws {
        let stepper = Stepper()
        var random = SplitMix64(seed: 7)
        var expected: [[UInt8]] = []
        var bytes: [UInt8] = []
        for _ in 0..<200 {
            let text = [UInt8](repeating: UInt8(ascii: "a") + UInt8(random.below(26)), count: random.below(40_000))
            expected.append(text)
            let cut = random.below(text.count + 1)
            bytes += Wire.frame(Wire.text, Array(text[..<cut]), isFinal: false) + Wire.frame(Wire.ping)
            bytes += Wire.frame(Wire.continuation, Array(text[cut...]))
        }
        try await withConnection(over: transport, sender(bytes), stepper.probe()) { client, probe in
            for step in 1...200 {
                try await eventually("message \(step) comes") { probe.messages.count >= step }
                probe.perform(client) { stepper.resume($0) }
            }
            #expect(probe.messages == expected)
            #expect(!stepper.isBroken)
        }
    }

    @Test func `Pausing and resuming twice, at once or without need changes nothing`() async throws {
        let probe = ClientProbe(
            onOpened: { client in
                client.resumeReceiving()
                client.pauseReceiving()
                client.pauseReceiving()
                client.resumeReceiving()
                client.resumeReceiving()
            },
            onMessage: { _, client in
                client.pauseReceiving()
                client.resumeReceiving()
            })
        try await withConnection(over: .plain, sender(wire(0..<1_000)), probe) { _, probe in
            try await eventually("all messages come") { probe.messages.count == 1_000 }
            #expect(probe.messages == texts(0..<1_000))
        }
    }

    @Test(arguments: Transport.available)
    func `While paused nothing is idle, and after resuming it is again`(transport: Transport) async throws {
        let stepper = Stepper()
        try await withConnection(
            over: transport, sender(wire(0..<2)), stepper.probe(),
            configure: { $0.idleTimeout = .seconds(1) }
        ) { client, probe in
            try await eventually("the first message comes") { probe.messages.count == 1 }
            try await Task.sleep(for: .milliseconds(2_500))
            #expect(probe.closures.isEmpty)
            let start = ContinuousClock.now
            probe.perform(client) { stepper.resume($0) }
            try await eventually("the second message comes") { probe.messages.count == 2 }
            // The second message has paused again.
            probe.perform(client) { stepper.resume($0) }
            try await eventually("the connection ends") { !probe.closures.isEmpty }
            #expect(ContinuousClock.now - start >= .seconds(1))
            #expect(probe.closures.map(\.cause) == [.idle(.seconds(1))])
        }
    }

    @Test(arguments: Transport.available)
    func `A message sent while paused goes out`(transport: Transport) async throws {
        let got = Atomic(0)
        let stepper = Stepper()
        let server = sender(wire(0..<10), onMessage: { _, _ in got.add(1, ordering: .relaxed) })
        try await withConnection(over: transport, server, stepper.probe()) { client, probe in
            try await eventually("the first message comes") { probe.messages.count == 1 }
            probe.perform(client) { client in for _ in 0..<100 { #expect(client.send("x")) } }
            try await eventually("all arrive") { got.load(ordering: .relaxed) == 100 }
            #expect(probe.messages.count == 1)
        }
    }

    @Test(arguments: Transport.available)
    func `A close frame that comes while paused is heard on resuming, after the messages`(
        transport: Transport
    ) async throws {
        let stepper = Stepper()
        let server = sender(wire(0..<10), then: { $0.close(code: 1001, reason: "away") })
        try await withConnection(over: transport, server, stepper.probe()) { client, probe in
            for step in 1...10 {
                try await eventually("message \(step) comes") { probe.messages.count >= step }
                if step == 1 {
                    try await Task.sleep(for: .milliseconds(300))
                    #expect(probe.closures.isEmpty)
                }
                probe.perform(client) { stepper.resume($0) }
            }
            try await eventually("the connection ends") { !probe.closures.isEmpty }
            #expect(probe.closures.map(\.cause) == [.closedByServer(code: 1001, reason: "away")])
            #expect(probe.messages == texts(0..<10))
            #expect(!stepper.isBroken)
        }
    }

    @Test(arguments: Transport.available)
    func `An end of stream while paused is noticed on resuming, after the messages`(transport: Transport) async throws {
        let stepper = Stepper()
        let server = sender(wire(0..<10), then: { $0.drop() })
        try await withConnection(over: transport, server, stepper.probe()) { client, probe in
            try await eventually("the server is done") { server.closedCount == 1 }
            for step in 1...10 {
                try await eventually("message \(step) comes") { probe.messages.count >= step }
                probe.perform(client) { stepper.resume($0) }
            }
            try await eventually("the connection ends") { !probe.closures.isEmpty }
            #expect(probe.closures.map(\.cause) == [.connectionLost])
            #expect(probe.messages == texts(0..<10))
        }
    }

    @Test(arguments: Transport.available)
    func `A reset while paused is noticed at the latest on resuming`(transport: Transport) async throws {
        let stepper = Stepper()
        let server = sender(wire(0..<10), then: { $0.drop(withReset: true) })
        try await withConnection(over: transport, server, stepper.probe(onOpened: true)) { client, probe in
            try await eventually("the server is done") { server.closedCount == 1 }
            try await eventually("the connection ends") {
                probe.perform(client) { stepper.resume($0) }
                return !probe.closures.isEmpty
            }
            #expect(probe.closures.map(\.cause) == [.connectionLost])
            #expect(probe.messages == texts(0..<probe.messages.count))
        }
    }

    @Test(arguments: Transport.available)
    func `Stopping while paused is quick`(transport: Transport) async throws {
        let stepper = Stepper()
        let probe = stepper.probe()
        var start = ContinuousClock.now
        try await withConnection(over: transport, sender(wire(0..<10)), probe) { _, probe in
            try await eventually("the first message comes") { probe.messages.count == 1 }
            start = .now
        }
        #expect(ContinuousClock.now - start < .seconds(60))
        #expect(probe.closures.map(\.cause) == [.stopped])
        #expect(probe.messages.count == 1)
    }

    @Test(arguments: Transport.available)
    func `Closing while paused ends with a close frame, and nothing more is delivered`(
        transport: Transport
    ) async throws {
        let stepper = Stepper()
        let server = sender(wire(0..<1000))
        try await withConnection(over: transport, server, stepper.probe()) { client, probe in
            try await eventually("the first message comes") { probe.messages.count == 1 }
            probe.perform(client) { $0.close(code: 1000) }
            try await eventually("the connection ends") { !probe.closures.isEmpty }
            #expect(probe.closures.map(\.cause) == [.closedByClient(code: 1000)])
            #expect(probe.messages.count == 1)
            // The next connection is not paused.
            probe.perform(client) { client in
                stepper.resume(client)
                client.connect()
            }
            try await eventually("a message of the next connection comes") { probe.messages.count == 2 }
        }
    }
}
