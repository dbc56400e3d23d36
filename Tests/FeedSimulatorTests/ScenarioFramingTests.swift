import TestSupport
import Testing
import TradeModel
import WebSocket

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioFramingTests {
    @Test func `Messages are cut at arbitrary bytes with PING frames in between`() async throws {
        try await withScenario(file: "frame-fragments") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL", "IC MARKETS:1")
            var sizes: Set<Int> = []
            for _ in 0..<20 {
                let frames = try (0..<9).map { _ in try #require(try client.frame()) }
                // Five fragments, and a PING between each two.
                #expect(frames.map(\.opcode) == [1, 9, 0, 9, 0, 9, 0, 9, 0])
                #expect(frames.map(\.isFinal) == [false, true, false, true, false, true, false, true, true])
                let fragments = frames.filter { $0.opcode != 9 }
                #expect(fragments.allSatisfy { !$0.payload.isEmpty })
                sizes.formUnion(fragments.map(\.payload.count))
                #expect(try !trades(String(decoding: fragments.flatMap(\.payload), as: UTF8.self)).isEmpty)
            }
            #expect(sizes.count > 10)
        }
    }

    @Test func `The final fragment of each message is empty`() async throws {
        try await withScenario(file: "frame-empty-final-fragment") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            for _ in 0..<10 {
                let frames = try (0..<3).map { _ in try #require(try client.frame()) }
                #expect(frames.map(\.opcode) == [1, 0, 0])
                #expect(frames.map(\.isFinal) == [false, false, true])
                #expect(frames[2].payload.isEmpty)
                #expect(try !trades(String(decoding: frames.flatMap(\.payload), as: UTF8.self)).isEmpty)
            }
        }
    }

    @Test func `A message of fewer bytes than fragments is cut into single bytes`() {
        var random = SeededRandom(seed: 1)
        let fragments = ScenarioStep.Fragments(count: 9, hasPings: false, hasEmptyEnd: false)
        let wire = ServerFrame.message(Array("abc".utf8), as: .text, fragments, &random)
        #expect(wire == [0x01, 1, 0x61, 0x00, 1, 0x62, 0x80, 1, 0x63])
        #expect(ServerFrame.message([], as: .text, fragments, &random) == [0x81, 0])
    }

    @Test func `Each segment has one byte`() async throws {
        try await withScenario(file: "frame-one-byte-a-segment") { run in
            let client = try WireClient(run.address)
            try client.open()
            // Counted before trades are asked for: some may have come as soon as they are.
            let before = client.segments
            client.subscribe("AAPL")
            var bytes = 0
            var count = 0
            while count < 20 {
                let text = try client.trades()
                bytes += text.utf8.count + (text.utf8.count < 126 ? 2 : 4)
                count += try trades(text).count
            }
            #expect(client.segments - before >= bytes)
        }
    }

    @Test func `Many frames come in one segment`() async throws {
        try await withScenario(file: "frame-many-a-segment") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            for _ in 0..<500 { #expect(try trades(client.trades()).count == 1) }
            // One for the upgrade, and ten with fifty frames each, of which the kernel may split some.
            #expect(client.segments <= 22)
        }
    }

    @Test(arguments: [("frame-100kB", 1400, 100_000), ("frame-1MB", 14_000, 1_000_000)])
    func `A frame is large`(name: String, count: Int, size: Int) async throws {
        try await withScenario(file: name) { run in
            let client = try WireClient(run.address)
            try client.open("AAPL", "BINANCE:BTCUSDT")
            let text = try client.trades()
            #expect(Double(text.utf8.count) > 0.8 * Double(size) && Double(text.utf8.count) < 1.2 * Double(size))
            #expect(try trades(text).count == count)
            #expect(try trades(client.trades()).count <= 30)
        }
    }

    @Test(arguments: [
        ("frame-binary", "binary", WebSocketClosure.Cause.binaryFrame),
        ("frame-masked", "masked", nil), ("frame-invalid-utf8", "invalid-utf8", .invalidUTF8),
    ])
    func `A frame is not what a client takes`(
        name: String, fault: String, cause: WebSocketClosure.Cause?
    ) async throws {
        try await withScenario(file: name) { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            var good = 0
            while good < 100 { good += try trades(client.trades()).count }
            let frame = try #require(try client.frame())
            #expect(frame.opcode == (fault == "binary" ? 2 : 1))
            #expect(frame.isMasked == (fault == "masked"))
            let isUTF8 = String(validating: frame.payload, as: UTF8.self) != nil
            #expect(isUTF8 == (fault != "invalid-utf8"))
            if isUTF8 { #expect(try trades(frame.text).count == 1) }
            client.close()
            #expect(try run.end(ofConnection: 1) == "the client has left")
            #expect(try run.recorded().compactMap(\.fault) == [fault])
        }
        // What our client makes of it; it takes masked frames.
        guard let cause else { return }
        let scenario = try Scenario(contentsOf: ScenarioFiles.path(name), known: standardSymbols)
        try await withScenario(scenario, FeedOptions()) { feed in
            let probe = FeedProbe(["AAPL"])
            try await withClient(feed.address, probe) { _ in
                try await eventually("the client ends it") { probe.closure != nil }
            }
            #expect(probe.tradeCount == 100)
            #expect(probe.closure?.cause == cause)
        }
    }
}
