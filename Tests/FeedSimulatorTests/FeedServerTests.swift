import Foundation
import ServiceKit
import TestSupport
import Testing
import TradeModel
import WebSocket

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct FeedServerTests {
    @Test func `A client gets the trades up to the limit and then pings and all that is sent is recorded`() async throws
    {
        try await withDirectory { directory in
            var options = FeedOptions()
            options.rate = 5000
            options.limit = 1000
            options.pingInterval = .milliseconds(50)
            options.recordFile = directory.appending(path: "record.jsonl").path
            try await withFeed(options) { feed in
                let probe = FeedProbe(["AAPL", "BINANCE:BTCUSDT", "NOPE"])
                try await withClient(feed.address, probe) { _ in
                    try await eventually("all trades come") { probe.tradeCount >= 1000 }
                    let count = probe.frameCount
                    try await eventually("pings come after the last trade") { probe.frameCount >= count + 3 }
                    try await feed.stop()
                    try await eventually("the connection ends") { probe.closure != nil }
                }
                let received = try probe.tradeFrames.flatMap(trades)
                #expect(received.count == 1000)
                #expect(Set(received.map(\.symbol)) == [try symbol("AAPL"), try symbol("BINANCE:BTCUSDT")])
                #expect(probe.tradeFrames.allSatisfy { $0.split(separator: "\"p\":").count - 1 <= 30 })
                #expect(probe.frames.suffix(3).allSatisfy { $0 == "{\"type\":\"ping\"}" })
                #expect(probe.frames.count { $0 == "{\"msg\":\"Invalid symbol NOPE\",\"type\":\"error\"}" } == 1)
                let recorded = try Replay(contentsOf: try #require(options.recordFile))
                #expect(recorded.frames.map(\.text) == probe.frames)
                #expect(recorded.frames.reduce(0) { $0 + $1.trades } == 1000)
            }
        }
    }

    @Test func `A stop closes every connection with code 1001`() async throws {
        try await withFeed(FeedOptions()) { feed in
            let probes = [FeedProbe(["AAPL"]), FeedProbe([])]
            try await withClient(feed.address, probes[0]) { _ in
                try await withClient(feed.address, probes[1]) { _ in
                    try await eventually("trades come") { probes[0].tradeCount > 0 }
                    try await eventually("both are open") { feed.log.contains("clients=2") }
                    try await feed.stop()
                    for probe in probes {
                        try await eventually("the connection ends") { probe.closure != nil }
                        #expect(probe.closure?.cause == .closedByServer(code: 1001, reason: "the server stops"))
                    }
                }
            }
        }
    }

    @Test(arguments: ["/", "/?token=wrong", "/?other=right"])
    func `Without the right token the handshake is answered with 401`(target: String) async throws {
        var options = FeedOptions()
        options.token = "right"
        try await withFeed(options) { feed in
            let probe = FeedProbe(["AAPL"])
            try await withClient(feed.address + target, probe) { _ in
                try await eventually("the attempt ends") { probe.closure != nil }
            }
            #expect(probe.closure?.cause == .refused(status: 401, retryAfter: nil))
            #expect(feed.log.contains("client refused"))
            #expect(!feed.log.contains("right") && !feed.log.contains("=wrong"))
        }
    }

    @Test func `With the right token a client is served`() async throws {
        var options = FeedOptions()
        options.token = "right"
        try await withFeed(options) { feed in
            let probe = FeedProbe(["AAPL"])
            try await withClient(feed.address + "/?token=right", probe) { _ in
                try await eventually("trades come") { probe.tradeCount > 0 }
            }
            #expect(!feed.log.contains("right"))
        }
    }

    @Test func `Two connections see the same trades of a symbol and each its own symbols`() async throws {
        var options = FeedOptions()
        options.rate = 2000
        try await withFeed(options) { feed in
            let probes = [FeedProbe(["AAPL"]), FeedProbe(["AAPL", "AMZN"])]
            try await withClient(feed.address, probes[0]) { _ in
                try await withClient(feed.address, probes[1]) { _ in
                    try await eventually("trades come") { probes.allSatisfy { $0.tradeCount > 500 } }
                }
            }
            let apple = try symbol("AAPL")
            let first = try probes[0].tradeFrames.flatMap(trades)
            let second = try probes[1].tradeFrames.flatMap(trades)
            #expect(first.allSatisfy { $0.symbol == apple })
            #expect(Set(second.map(\.symbol)).count == 2)
            let common = zip(first, second.filter { $0.symbol == apple })
            #expect(common.allSatisfy { $0.price == $1.price && $0.volume == $1.volume })
        }
    }

    @Test func `A client that does not read is given nothing more and gets everything later`() async throws {
        try await withDirectory { directory in
            var options = FeedOptions()
            options.rate = 50_000
            options.limit = 300_000
            options.recordFile = directory.appending(path: "record.jsonl").path
            let path = try #require(options.recordFile)
            try await withFeed(options) { feed in
                let probe = FeedProbe(["AAPL"], startsPaused: true)
                try await withClient(feed.address, probe) { client in
                    try await eventually("the log says so") { feed.log.contains("takes less than the rate") }
                    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
                    // All of it takes 30 MB in the recording; the kernel's buffers hold a part.
                    #expect(size < 20_000_000)
                    #expect(probe.tradeCount == 0)
                    probe.perform(client) { $0.resumeReceiving() }
                    try await eventually("everything comes") { probe.tradeCount >= options.limit }
                }
                #expect(probe.tradeCount == options.limit)
            }
        }
    }

    @Test func `A client that does not read does not delay a stop`() async throws {
        var options = FeedOptions()
        options.rate = 200_000
        try await withFeed(options) { feed in
            let probe = FeedProbe(["AAPL"], startsPaused: true)
            try await withClient(feed.address, probe) { _ in
                try await eventually("it is full") { feed.log.contains("takes less than the rate") }
                try await feed.stop()
            }
        }
    }

    @Test func `A replay goes out verbatim to each connection`() async throws {
        var options = FeedOptions()
        let frames = [
            #"{"type":"trade","data":[{"t":1,"p":1.50,"v":2,"c":["1","8"],"s":"TEST:1"}]}"#, #"{"type":"ping"}"#,
            #"{"data":[{"p":0,"s":"TEST:1","t":2,"v":0}],"type":"trade"}"#,
        ]
        let lines = frames.enumerated().map { index, frame in
            "{\"at_ms\":\(index * 10),\"frame\":\"\(frame.replacingOccurrences(of: "\"", with: "\\\""))\"}"
        }
        options.replay = try Replay(lines.joined(separator: "\n"), path: "lines")
        options.speed = 2
        try await withFeed(options) { feed in
            for _ in 0..<2 {
                let probe = FeedProbe(["TEST:1"])
                try await withClient(feed.address, probe) { _ in
                    try await eventually("all frames come") { probe.frameCount >= frames.count }
                }
                #expect(probe.frames == frames)
            }
        }
    }

    @Test func `The address is in the file once clients can connect`() async throws {
        try await withDirectory { directory in
            var options = FeedOptions()
            let file = directory.appending(path: "address").path
            options.addressFile = file
            try await withFeed(options) { feed in
                try await eventually("the file is there") { FileManager.default.fileExists(atPath: file) }
                let line = try String(contentsOfFile: file, encoding: .utf8)
                let address = line.trimmingCharacters(in: .newlines)
                #expect(line == address + "\n")
                #expect(address == feed.address)
                let probe = FeedProbe(["AAPL"])
                try await withClient(address, probe) { _ in
                    try await eventually("trades come") { probe.tradeCount > 0 }
                }
            }
        }
    }

    @Test func `A port in use is an error that names it`() async throws {
        try await withFeed(FeedOptions()) { feed in
            var options = FeedOptions()
            let port = try #require(feed.address.split(separator: ":").last.flatMap { UInt16($0) })
            options.listen = ListenAddress(host: "127.0.0.1", port: port)
            let error = #expect(throws: WebSocketError.self) { _ = try FeedServer(options, logger: LogLines().logger) }
            #expect(error?.message.contains("port \(port)") == true)
        }
    }
}
