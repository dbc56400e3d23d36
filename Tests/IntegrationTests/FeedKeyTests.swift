import DatabaseTestSupport
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct FeedKeyTests {
    @Test func `a refused key ends the program with a status of its own, after the event is in the topic`() async throws
    {
        let broker = try await Broker()
        let (simulator, url) = try await RunningProgram.simulator([], ["FEED_TOKEN": "the right one"])
        let ended = try await RunningProgram.run(
            "producer", broker.arguments(of: "producer") + ["--feed-url", url, "--exit-on-auth-failure"],
            ["FINNHUB_TOKEN": "the wrong one"])
        #expect(ended.status == .exited(3), "\(ended)")
        let lines = ended.errors.split(separator: "\n")
        #expect(lines.last?.contains(" critical ") == true, "\(ended)")
        #expect(lines.last?.contains("\(url) refuses the API key with HTTP status 401") == true, "\(ended)")
        #expect(!ended.errors.contains("the wrong one"))
        #expect(try await broker.recordCount(of: broker.eventsTopic) == 1)
        try await simulator.stop()
    }

    @Test func `a refused key is otherwise tried again, and the program goes on`() async throws {
        let broker = try await Broker()
        let (simulator, url) = try await RunningProgram.simulator([], ["FEED_TOKEN": "the right one"])
        let producer = try RunningProgram.producer(broker, feed: url, [], ["FINNHUB_TOKEN": "the wrong one"])
        try await producer.waitForLog("the feed refuses the API key")
        #expect(try await producer.waitForReadiness(503).contains("feed: not connected\n"))
        try await producer.stop()
        try await simulator.stop()
    }
}
