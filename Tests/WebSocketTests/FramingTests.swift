import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// What a peer may send once the connection is open, and what it may not.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct FramingTests {
    /// The messages that a client gets from a peer that writes these pieces, each in a segment of its own.
    private func messages(
        _ count: Int, ofWire pieces: [[UInt8]], configure: (inout WebSocketClientConfiguration) -> Void = { _ in }
    ) async throws -> [[UInt8]] {
        let peer = try PlainPeer.upgrading { socket in
            for piece in pieces { PlainPeer.write(socket, piece) }
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        return try await withClient("ws://127.0.0.1:\(peer.port)/", configure: configure) { _, probe in
            try await eventually("the messages come") { probe.messages.count >= count || !probe.closures.isEmpty }
            #expect(probe.closures.isEmpty)
            return probe.messages
        }
    }

    /// How a connection ends to a peer that sends these bytes, and what the client says to that before it goes.
    private func closure(
        ofWire bytes: [UInt8], configure: (inout WebSocketClientConfiguration) -> Void = { _ in }
    ) async throws -> (end: WebSocketClosure, answer: [Wire.ClientFrame]) {
        let answer = Mutex<[Wire.ClientFrame]?>(nil)
        let peer = try PlainPeer.upgrading { socket in
            PlainPeer.write(socket, bytes)
            var frames: [Wire.ClientFrame] = []
            while let frame = PlainPeer.readFrame(socket) {
                frames.append(frame)
                // The server is the one that ends the TCP connection.
                if frame.opcode == Wire.close { break }
            }
            answer.withLock { $0 = frames }
        }
        defer { peer.stop() }
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(peer.port)/", configure: configure)
        try await eventually("the peer is done") { answer.withLock { $0 != nil } }
        #expect(end.wasOpen)
        return (end, answer.withLock { $0! })
    }

    private func closingFrame(_ code: UInt16) -> Wire.ClientFrame {
        .init(opcode: Wire.close, payload: Wire.closing(code))
    }

    // MARK: Messages

    @Test func `A message cut in two anywhere, with a ping in between, arrives whole`() async throws {
        let text = Array(#"{"data":[{"p":1.5,"s":"é€😀","t":1,"v":0}],"type":"trade"}"#.utf8)
        var wire: [UInt8] = []
        for cut in 0...text.count {
            wire += Wire.frame(Wire.text, Array(text[..<cut]), isFinal: false)
            wire += Wire.frame(Wire.ping, [UInt8(cut)])
            wire += Wire.frame(Wire.continuation, Array(text[cut...]))
        }
        let got = try await messages(text.count + 1, ofWire: [wire])
        #expect(got == Array(repeating: text, count: text.count + 1))
    }

    @Test func `A message of one-byte fragments, each with a ping behind it, arrives whole`() async throws {
        let text = Array("é€😀 one byte a fragment".utf8)
        var wire: [UInt8] = []
        for (index, byte) in text.enumerated() {
            wire += Wire.frame(
                index == 0 ? Wire.text : Wire.continuation, [byte], isFinal: index == text.count - 1)
            wire += Wire.frame(Wire.ping)
        }
        #expect(try await messages(1, ofWire: [wire]) == [text])
    }

    @Test func `Empty fragments at any place change nothing`() async throws {
        let empty = Wire.frame(Wire.continuation, isFinal: false)
        let wire =
            Wire.frame(Wire.text, isFinal: false) + empty + Wire.frame(Wire.continuation, "a", isFinal: false) + empty
            + Wire.frame(Wire.continuation, "b", isFinal: false) + Wire.frame(Wire.continuation)
            + Wire.frame(Wire.text) + Wire.frame(Wire.text, isFinal: false) + Wire.frame(Wire.continuation)
        #expect(try await messages(3, ofWire: [wire]) == [Array("ab".utf8), [], []])
    }

    @Test func `Frames that come a byte a segment arrive whole`() async throws {
        let texts = [5, 130, 70_000].map { [UInt8](repeating: 0x78, count: $0) }
        let small = (Wire.frame(Wire.text, texts[0]) + Wire.frame(Wire.ping, "p") + Wire.frame(Wire.text, texts[1])).map
        {
            [$0]
        }
        let large = Wire.frame(Wire.text, texts[2])
        let pieces = small + large.prefix(20).map { [$0] } + [Array(large.dropFirst(20).dropLast(5))]
        #expect(try await messages(3, ofWire: pieces + large.suffix(5).map { [$0] }) == texts)
    }

    @Test func `Thousands of frames in one segment arrive in order`() async throws {
        let texts = (0..<5_000).map { Array("\($0)".utf8) }
        let wire = texts.flatMap { Wire.frame(Wire.text, $0) }
        #expect(try await messages(5_000, ofWire: [wire]) == texts)
    }

    @Test(arguments: [65_535, 65_536, 65_537, 100_000, 131_072, 1_000_000, 1 << 20])
    func `A large frame arrives whole, and the next one too`(size: Int) async throws {
        let text = (0..<size).map { UInt8(0x20 + $0 % 90) }
        let wire = Wire.frame(Wire.text, text) + Wire.frame(Wire.text, "next")
        #expect(try await messages(2, ofWire: [wire]) == [text, Array("next".utf8)])
    }

    // MARK: Control frames

    @Test(arguments: [0, 1, 125])
    func `A ping is answered by a pong with its payload, also within a message`(size: Int) async throws {
        let payload = (0..<size).map { UInt8($0) }
        let pong = Mutex<Wire.ClientFrame?>(nil)
        let peer = try PlainPeer.upgrading { socket in
            PlainPeer.write(socket, Wire.frame(Wire.text, "a", isFinal: false) + Wire.frame(Wire.ping, payload))
            let frame = PlainPeer.readFrame(socket)
            pong.withLock { $0 = frame }
            PlainPeer.write(socket, Wire.frame(Wire.continuation, "b"))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        try await withClient("ws://127.0.0.1:\(peer.port)/") { _, probe in
            try await eventually("the message comes") { probe.messages == [Array("ab".utf8)] }
        }
        #expect(pong.withLock { $0 } == .init(opcode: Wire.pong, payload: payload))
    }

    @Test func `A pong that nobody asked for is passed over`() async throws {
        let wire = Wire.frame(Wire.pong) + Wire.frame(Wire.pong, "x") + Wire.frame(Wire.text, "a")
        #expect(try await messages(1, ofWire: [wire]) == [Array("a".utf8)])
    }

    @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4000, 4999] as [UInt16])
    func `A close code arrives as it was sent and is sent back`(code: UInt16) async throws {
        let (end, answer) = try await closure(ofWire: Wire.frame(Wire.close, Wire.closing(code, "because")))
        #expect(end.cause == .closedByServer(code: code, reason: "because"))
        #expect(answer == [.init(opcode: Wire.close, payload: Wire.closing(code, "because"))])
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 2999] as [UInt16])
    func `A close code that libwebsockets does not know arrives as 1002`(code: UInt16) async throws {
        let (end, _) = try await closure(ofWire: Wire.frame(Wire.close, Wire.closing(code)))
        #expect(end.cause == .closedByServer(code: 1002, reason: ""))
    }

    @Test(arguments: [0, 1])
    func `A close frame without a code arrives as 1005`(size: Int) async throws {
        let (end, _) = try await closure(ofWire: Wire.frame(Wire.close, [UInt8](repeating: 3, count: size)))
        #expect(end.cause == .closedByServer(code: 1005, reason: ""))
    }

    @Test func `A close reason that is not UTF-8 is mended`() async throws {
        let (end, _) = try await closure(ofWire: Wire.frame(Wire.close, Wire.closing(1008) + [0x61, 0xFF]))
        #expect(end.cause == .closedByServer(code: 1008, reason: "a\u{FFFD}"))
    }

    @Test func `What comes before a close frame arrives, what comes behind it does not`() async throws {
        let probe = ClientProbe()
        let peer = try PlainPeer.upgrading { socket in
            PlainPeer.write(
                socket,
                Wire.frame(Wire.text, "a") + Wire.frame(Wire.close, Wire.closing(1001)) + Wire.frame(Wire.text, "b"))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let end = try await WebSocketTests.closure(of: "ws://127.0.0.1:\(peer.port)/", probe)
        #expect(end.cause == .closedByServer(code: 1001, reason: ""))
        #expect(probe.messages == [Array("a".utf8)])
    }

    // MARK: Limits

    @Test(arguments: [1, 999, 1000])
    func `A message up to the limit is accepted in one frame and in several`(size: Int) async throws {
        let text = [UInt8](repeating: 0x61, count: size)
        let wire =
            Wire.frame(Wire.text, text) + Wire.frame(Wire.text, Array(text.dropLast()), isFinal: false)
            + Wire.frame(Wire.continuation, "a")
        #expect(try await messages(2, ofWire: [wire], configure: { $0.maxMessageBytes = 1000 }) == [text, text])
    }

    @Test func `A frame that takes the message beyond the limit is refused by its header`() async throws {
        let announced: [UInt8] = [0x81, 127, 0x7F] + [UInt8](repeating: 0xFF, count: 7)
        // libwebsockets asks after 64 KiB of a frame, which has far more to come.
        let (end, answer) = try await closure(ofWire: announced + [UInt8](repeating: 0x61, count: 65_536))
        #expect(end.cause == .messageTooBig(limit: 1 << 20))
        #expect("\(end)".hasSuffix("a message of more than 1048576 bytes"))
        #expect(answer == [closingFrame(1009)])
    }

    @Test(arguments: [false, true])
    func `Fragments that grow beyond the limit are refused`(lastIsFinal: Bool) async throws {
        let half = [UInt8](repeating: 0x61, count: 500)
        let (end, answer) = try await closure(
            ofWire: Wire.frame(Wire.text, half, isFinal: false) + Wire.frame(Wire.continuation, half, isFinal: false)
                + Wire.frame(Wire.continuation, "a", isFinal: lastIsFinal),
            configure: { $0.maxMessageBytes = 1000 })
        #expect(end.cause == .messageTooBig(limit: 1000))
        #expect(answer == [closingFrame(1009)])
    }

    @Test func `A frame beyond the limit of frames is refused although its message would be small enough`() async throws
    {
        let (end, answer) = try await closure(
            ofWire: Wire.frame(Wire.text, [UInt8](repeating: 0x61, count: 101)), configure: { $0.maxFrameBytes = 100 })
        #expect(end.cause == .frameTooBig(limit: 100))
        #expect("\(end)".hasSuffix("a frame of more than 100 bytes"))
        #expect(answer == [closingFrame(1009)])
        let frame = [UInt8](repeating: 0x61, count: 100)
        let wire = Wire.frame(Wire.text, frame, isFinal: false) + Wire.frame(Wire.continuation, frame)
        #expect(try await messages(1, ofWire: [wire], configure: { $0.maxFrameBytes = 100 }) == [frame + frame])
    }

    @Test func `More fragments than allowed are refused, empty ones too`() async throws {
        func wire(_ fragments: Int) -> [UInt8] {
            Wire.frame(Wire.text, isFinal: false)
                + (0..<fragments - 2).flatMap { _ in
                    Wire.frame(Wire.continuation, isFinal: false) + Wire.frame(Wire.ping)
                } + Wire.frame(Wire.continuation, "a")
        }
        let text = Array("a".utf8)
        // Each message counts anew.
        let got = try await messages(2, ofWire: [wire(10) + wire(10)], configure: { $0.maxFragments = 10 })
        #expect(got == [text, text])
        let (end, answer) = try await closure(ofWire: wire(11), configure: { $0.maxFragments = 10 })
        #expect(end.cause == .tooManyFragments(limit: 10))
        #expect("\(end)".hasSuffix("a message in more than 10 fragments"))
        #expect(answer.filter { $0.opcode == Wire.close } == [closingFrame(1008)])
    }

    // MARK: Violations

    @Test func `A binary frame is refused`() async throws {
        let (end, answer) = try await closure(ofWire: Wire.frame(Wire.binary, [0, 1]))
        #expect(end.cause == .binaryFrame)
        #expect(answer == [closingFrame(1003)])
    }

    @Test(arguments: [
        Wire.frame(Wire.text, [0xFF]), Wire.frame(Wire.text, [0x61, 0x62, 0xC3]),
        Wire.frame(Wire.text, [0xC3], isFinal: false) + Wire.frame(Wire.continuation, "a"),
        Wire.frame(Wire.text, [0xE2, 0x82], isFinal: false) + Wire.frame(Wire.continuation),
        Wire.frame(Wire.text, [0xED, 0xA0, 0x80]), Wire.frame(Wire.text, [0xC0, 0x80]),
        Wire.frame(Wire.text, [0xF4, 0x90, 0x80, 0x80]),
    ])
    func `A message that is not UTF-8 is refused`(wire: [UInt8]) async throws {
        let (end, answer) = try await closure(ofWire: wire)
        #expect(end.cause == .invalidUTF8)
        #expect(answer == [closingFrame(1007)])
    }

    @Test(arguments: [
        Wire.frame(Wire.text, [0x61], reserved: 0x40), Wire.frame(Wire.text, [0x61], reserved: 0x20),
        Wire.frame(Wire.text, [0x61], reserved: 0x10), Wire.frame(Wire.ping, [], reserved: 0x40),
        Wire.frame(Wire.continuation, "a"), Wire.frame(Wire.continuation, "a", isFinal: false),
        Wire.frame(Wire.text, "a", isFinal: false) + Wire.frame(Wire.text, "b"),
        Wire.frame(Wire.text, "a", isFinal: false) + Wire.frame(Wire.binary, "b"),
        Wire.frame(Wire.ping, "a", isFinal: false), Wire.frame(Wire.pong, "a", isFinal: false),
        Wire.frame(Wire.close, isFinal: false), Wire.frame(Wire.ping, [UInt8](repeating: 0x61, count: 126)),
        Wire.frame(Wire.close, [UInt8](repeating: 0x61, count: 70_000)),
        [0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 0x61],
    ])
    func `A frame that breaks the protocol is a lost connection`(wire: [UInt8]) async throws {
        #expect(try await closure(ofWire: wire).end.cause == .connectionLost)
    }

    @Test(arguments: [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] as [UInt8])
    func `An unknown opcode is a lost connection`(opcode: UInt8) async throws {
        #expect(try await closure(ofWire: Wire.frame(opcode, "a")).end.cause == .connectionLost)
    }

    /// A defect of libwebsockets 4.1.6, which neither refuses masked frames nor starts each one's key at its first byte.
    /// No feed sends such frames.
    @Test func `Masked frames are not refused and arrive garbled from the second on`() async throws {
        let masked = Wire.frame(Wire.text, Array("abc".utf8), mask: [1, 2, 3, 4])
        let got = try await messages(3, ofWire: [masked + masked + Wire.frame(Wire.text, "abc")])
        #expect(got == ["abc", "dab", "abc"].map { Array($0.utf8) })
    }
}
