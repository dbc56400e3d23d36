import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioLoadTests {
    @Test func `A burst comes at the open and then the ordinary rate`() async throws {
        try await withScenario(file: "load-burst") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL", "BINANCE:BTCUSDT")
            var count = 0
            while count < 20_200 { count += try trades(client.trades()).count }
            client.close()
            _ = try run.end(ofConnection: 1)
            var sent: [(count: Int, at: Double)] = []
            for line in try run.recorded() where line.frame != nil {
                sent.append(((sent.last?.count ?? 0) + (try trades(line.frame ?? "").count), line.at_ms))
            }
            let burst = try #require(sent.firstIndex { $0.count == 20_000 })
            // 200 trades take a second at the ordinary rate; the hundredfold takes far less than the hundredfold time.
            #expect(sent[burst].at - sent[0].at < 30_000)
            let later = try #require(sent.first { $0.count >= 20_200 })
            #expect(later.at - sent[burst].at > 990)
        }
    }

    @Test func `A client that takes nothing is reset`() async throws {
        try await withScenario(file: "load-slow-consumer") { run in
            let client = try WireClient(run.address, receiveBuffer: 8192)
            try client.open("AAPL")
            #expect(try run.end(ofConnection: 1) == "reset, since the client took nothing for too long")
            let sent = try run.recorded().filter { $0.connection == 1 }.compactMap(\.frame).count
            #expect(sent < 100)
            while try client.receive() {}
            #expect(client.end == .reset)
        }
    }

    @Test func `A client that takes its time gets everything`() async throws {
        try await withScenario("connection *\n buffer 16384\n accept\n trades 20000 rate max\n end") { run in
            let client = try WireClient(run.address, receiveBuffer: 8192)
            try client.open("AAPL")
            let messages = try client.frames().map(\.text)
            #expect(try messages.flatMap(trades).count == 20_000)
            #expect(try run.end(ofConnection: 1) == "ended")
            #expect(try run.recorded().compactMap(\.frame) == messages)
        }
    }

    @Test func `The rate is kept`() async throws {
        try await withScenario("connection *\n accept\n trades 1500 rate 500") { run in
            let client = try WireClient(run.address)
            try client.open()
            // The first trade is due a moment after the subscription, which may be heard before this goes on.
            let start = ContinuousClock.now
            client.subscribe("AAPL")
            var count = 0
            while count < 1500 { count += try trades(client.trades()).count }
            let time = ContinuousClock.now - start
            #expect(time > .seconds(2.8) && time < .seconds(60))
        }
    }

    @Test func `Two connections bring different trades and the first the market's own`() async throws {
        try await withScenario("connection *\n accept\n trades 50 rate max\n end") { run in
            var sequences: [[Trade]] = []
            for _ in 0..<2 {
                let client = try WireClient(run.address)
                try client.open("AAPL")
                sequences.append(try client.frames().flatMap { try trades($0.text) })
            }
            var market = Market(symbols: MarketSymbol.all(extra: 0), seed: 1)
            market.subscribe(try symbol("AAPL"))
            let expected = (0..<50).map { _ in market.next() }
            #expect(sequences[0].map(\.price) == expected.map(\.price))
            #expect(sequences[0].map(\.volume) == expected.map(\.volume))
            #expect(sequences[1].count == 50 && sequences[1].map(\.volume) != expected.map(\.volume))
        }
    }

    @Test func `The recording tells when and on which connection each frame was sent`() async throws {
        try await withScenario(
            "connection 1\n accept\n trades 30 rate 300\n end\nconnection *\n accept\n trades 30 rate 300\n close 1001"
        ) { run in
            let before = Timestamp.now()
            var frames: [[String]] = []
            for number in 1...2 {
                let client = try WireClient(run.address)
                try client.open("AAPL")
                frames.append(try client.frames().filter { $0.opcode == 1 }.map(\.text))
                client.close()
                _ = try run.end(ofConnection: number)
            }
            let after = Timestamp.now()
            let lines = try run.recorded()
            for number in 1...2 {
                let own = lines.filter { $0.connection == number }
                #expect(own.compactMap(\.frame) == frames[number - 1])
                #expect(own.first?.event == "connected" && own.dropFirst().first?.event == "accepted")
                #expect(own.last?.event == (number == 1 ? "ended" : "closed with code 1001"))
            }
            #expect(lines.map(\.at_ms) == lines.map(\.at_ms).sorted())
            let times = lines.map(\.time)
            #expect(times == times.sorted())
            #expect(times.allSatisfy { before.description <= $0 && $0 <= after.description })
            // The trades of a frame bear the time at which it was made.
            for line in lines where line.frame != nil {
                let newest = try #require(try trades(line.frame ?? "").map(\.time).max())
                #expect(newest.description <= line.time)
            }
        }
    }

    @Test func `A recording that cannot be written ends the server with an error`() async throws {
        let scenario = try Scenario("connection *\n accept\n trades forever", path: "x", known: standardSymbols)
        var options = FeedOptions()
        options.recordFile = "/dev/full"
        let error = await #expect(throws: SystemError.self) {
            try await withScenario(scenario, options) { feed in
                let address = feed.address
                try await onThread {
                    let client = try WireClient(address)
                    client.request()
                    while try client.receive() {}
                }
            }
        }
        #expect(error?.description.contains("/dev/full") == true)
    }
}
