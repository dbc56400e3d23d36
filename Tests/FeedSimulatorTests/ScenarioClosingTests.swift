import TestSupport
import Testing
import TradeModel

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioClosingTests {
    @Test(arguments: [
        (1000, "done"), (1001, "going away"), (1008, "policy"), (1011, "internal error"), (1012, "restart"),
        (1013, "try again later"), (4000, "private"),
    ])
    func `A close frame with a code comes after the trades`(code: Int, reason: String) async throws {
        try await withScenario(file: "close-\(code)") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL", "AMZN")
            let frames = try client.frames()
            #expect(frames.last?.opcode == 8 && frames.last?.code == code)
            #expect(frames.last.map { String(decoding: $0.payload.dropFirst(2), as: UTF8.self) } == reason)
            #expect(client.end == .endOfStream)
            try Self.expectHundred(frames.dropLast(), run)
            client.close()
            #expect(try run.end(ofConnection: 1) == "closed with code \(code)")
        }
    }

    @Test func `A close frame can be without a code`() async throws {
        try await withScenario("connection *\n accept\n close") { run in
            let client = try WireClient(run.address)
            try client.open()
            #expect(try client.frames() == [WireClient.Frame(opcode: 8, payload: [])])
        }
    }

    @Test func `The stream ends without a close frame`() async throws {
        try await withScenario(file: "close-end-of-stream") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            try Self.expectHundred(client.frames()[...], run)
            #expect(client.end == .endOfStream && client.rest.isEmpty)
            #expect(try run.end(ofConnection: 1) == "ended")
        }
    }

    @Test func `A reset comes without a close frame`() async throws {
        try await withScenario(file: "close-reset") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            #expect(try client.frames().allSatisfy { $0.opcode == 1 })
            #expect(client.end == .reset)
            #expect(try run.end(ofConnection: 1) == "reset")
        }
    }

    @Test func `The stream ends in the middle of a frame`() async throws {
        try await withScenario(file: "close-in-mid-frame") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            try Self.expectHundred(client.frames()[...], run)
            #expect(client.end == .endOfStream)
            let dropped = try #require(try run.recorded().first { $0.fault == "dropped" }?.frame)
            // The header of a frame of some hundred bytes has four bytes.
            let count = (dropped.utf8.count + 4) / 2
            #expect(client.rest.count == count)
            #expect(client.rest.dropFirst(4).elementsEqual(dropped.utf8.prefix(count - 4)))
        }
    }

    @Test func `A half-open connection sends nothing more and does not answer`() async throws {
        try await withScenario(file: "silence-half-open", { $0.pingInterval = .milliseconds(50) }) { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            var trades = 0
            while trades < 100 { trades += try FeedSimulatorTests.trades(client.trades()).count }
            // A ping can be due with the last trade, and on its way.
            try eventually("it goes silent") {
                if client.isSilent(for: 500) { return true }
                try client.receive()
                return false
            }
            client.send(opcode: 9, Array("still there?".utf8))
            client.subscribe("NOPE")
            #expect(client.isSilent(for: 500))
            client.close()
            #expect(try run.end(ofConnection: 1) == "the client has left")
        }
    }

    @Test func `When the market is closed only pings come and PINGs are answered`() async throws {
        try await withScenario(file: "silence-pings-only") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            var pings = 0
            while pings < 3 {
                let frame = try #require(try client.frame())
                pings = frame.text == "{\"type\":\"ping\"}" ? pings + 1 : 0
            }
            client.send(opcode: 9, Array("still there?".utf8))
            // Pings that were sent meanwhile come first.
            var answer = try client.frame()
            for _ in 0..<100 where answer?.opcode == 1 { answer = try client.frame() }
            #expect(answer == WireClient.Frame(opcode: 10, payload: Array("still there?".utf8)))
        }
    }

    @Test func `Trades come without pings`() async throws {
        try await withScenario(file: "silence-no-pings", { $0.pingInterval = .milliseconds(20) }) { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            for _ in 0..<100 { #expect(try client.frame()?.text.contains("\"p\":") == true) }
        }
    }

    @Test func `A PING is not answered when it is ignored`() async throws {
        try await withScenario("ignore ping\nconnection *\n accept") { run in
            let client = try WireClient(run.address)
            try client.open()
            client.send(opcode: 9, [])
            client.subscribe("NOPE")
            #expect(try client.frame()?.text == "{\"msg\":\"Invalid symbol NOPE\",\"type\":\"error\"}")
        }
    }

    @Test func `A client's close is answered`() async throws {
        try await withScenario("connection *\n accept\n trades forever") { run in
            let client = try WireClient(run.address)
            try client.open()
            client.send(opcode: 8, [0x03, 0xE8])
            #expect(try client.frames() == [WireClient.Frame(opcode: 8, payload: [0x03, 0xE8])])
            #expect(try run.end(ofConnection: 1) == "closed by the client with code 1000")
        }
    }

    @Test func `A client that breaks the protocol is cut off`() async throws {
        try await withScenario("connection *\n accept") { run in
            let client = try WireClient(run.address)
            try client.open()
            client.send([0x81, 0x01, 0x41])
            #expect(try client.frames().isEmpty)
            #expect(try run.end(ofConnection: 1)?.hasPrefix("the client broke the protocol") == true)
        }
    }

    @Test func `A stop ends all connections at once, also those that are mute or not read`() async throws {
        let scenario = try Scenario(
            """
            connection 1
              accept
              mute forever
            connection 2
              wait forever
            connection *
              accept
              trades forever rate max
            """, path: "x", known: standardSymbols)
        try await withScenario(scenario, FeedOptions()) { feed in
            let address = feed.address
            let clients = try await onThread {
                let clients = try (0..<3).map { _ in try WireClient(address) }
                try clients[0].open()
                clients[1].request()
                try clients[2].open("AAPL")
                // The third is given so much that the kernel takes no more.
                try eventually("the third is full", within: hangLimit) { !clients[2].isSilent(for: 0) }
                return UncheckedClients(clients)
            }
            let start = ContinuousClock.now
            try await feed.stop()
            // For a connection that does not end, the server waits five seconds.
            #expect(ContinuousClock.now - start < .seconds(5))
            try await onThread {
                for client in clients.list { while try client.receive() {} }
            }
        }
    }

    private struct UncheckedClients: @unchecked Sendable {
        // Safe to hand over: one thread after the other uses them.
        let list: [WireClient]
        init(_ list: [WireClient]) { self.list = list }
    }

    /// Expects frames to hold the hundred trades that are recorded.
    private static func expectHundred(_ frames: ArraySlice<WireClient.Frame>, _ run: ScenarioRun) throws {
        #expect(try frames.flatMap { try trades($0.text) }.count == 100)
        let recorded = try run.recorded().filter { $0.connection == 1 && $0.fault == nil }.compactMap(\.frame)
        #expect(recorded == frames.map(\.text))
    }
}
