import Foundation
import LocalServers
import ProgramTestSupport
import Synchronization
import TestSupport

/// A scenario that is being played: `feed-simulator` → `producer` → broker, with readers on both topics.
final class FaultRun: Sendable {
    /// An API key that must come to light nowhere.
    static let key = "a key/that nobody sees"
    /// The sources of the producers: most scenarios have the first alone.
    static let sources = ["first", "second"]

    let expectation: Expectation
    let simulator: RunningProgram
    let recording: RecordedFeed
    private let url: String
    private let broker: FaultBroker
    private let topics: FaultBroker.Topics
    private let directory: TemporaryDirectory
    private let tradesTap: TopicTap
    private let eventsTap: TopicTap
    private let started = Mutex<[RunningProgram]>([])

    /// Plays a scenario to the end of its trial and to that of the programs; returns what came of it.
    static func play(_ expectation: Expectation) async throws -> Outcome {
        let run = try await FaultRun(expectation)
        defer {
            run.tradesTap.stop()
            run.eventsTap.stop()
        }
        do {
            try run.start(sources[0])
            try await expectation.trial(run)
            var producers: [Outcome.Producer] = []
            for (source, program) in zip(sources, run.producers) {
                // One may have been stopped by the trial.
                let metrics = program.child.isRunning ? try await program.get("/metrics").body : ""
                producers.append(.init(source: source, metrics: metrics))
                try await program.stop()
                producers[producers.count - 1].log = program.log
            }
            try await run.readAll()
            try await run.simulator.stop()
            return try Outcome(
                expectation, producers: producers, connections: run.recording.connections(),
                trades: run.trades(), events: run.events())
        } catch {
            throw TestFailure(
                ([error] + (run.producers + [run.simulator]).map(\.lastLines)).map { "\($0)" }
                    .joined(separator: "\n"))
        }
    }

    private init(_ expectation: Expectation) async throws {
        self.expectation = expectation
        directory = try TemporaryDirectory(prefix: "tickstream-fault")
        broker = try await FaultBroker.shared.value
        topics = FaultBroker.topics(of: expectation.scenario)
        recording = RecordedFeed(path: "\(directory.path)/recording.jsonl")
        // A clock that runs faster has no time for the feed's own pings.
        let pings = expectation.speed > 1 ? ["--ping-interval", "0.2"] : []
        let server = try await RunningProgram.simulator(
            [
                "--scenario", try await Scenarios.copy(expectation.scenario, to: directory.path),
                "--record", recording.path, "--rate", String(expectation.rate),
            ] + pings + expectation.simulator)
        simulator = server.program
        // The certificates' name.
        url = server.url.hasPrefix("wss") ? server.url.replacing("127.0.0.1", with: "localhost") : server.url
        tradesTap = try TopicTap(bootstrap: broker.bootstrap, topic: topics.trades, partitions: 1)
        eventsTap = try TopicTap(bootstrap: broker.bootstrap, topic: topics.events, partitions: 1)
    }

    // MARK: Programs

    /// The producer of the first source, and any other behind it.
    var producers: [RunningProgram] { started.withLock { $0 } }
    var producer: RunningProgram { producers[0] }

    /// Starts a producer.
    @discardableResult
    func start(_ source: String) throws -> RunningProgram {
        let hours = "\(directory.path)/market-hours"
        try "market all\nsymbols *\nzone UTC\nsession all Mon-Sun 00:00-24:00 mute-after \(expectation.muteAfter)m\n"
            .write(toFile: hours, atomically: true, encoding: .utf8)
        var arguments = [
            "--kafka-bootstrap-servers", broker.bootstrap, "--trades-topic", topics.trades,
            "--events-topic", topics.events, "--feed-url", url, "--source-id", source,
            "--symbols", expectation.symbols.joined(separator: ","), "--market-hours-file", hours,
            "--feed-idle-timeout", String(expectation.idleTimeout), "--counters-interval", "1",
        ]
        if url.hasPrefix("wss") { arguments += ["--feed-ca-file", "\(directory.path)/ca.pem"] }
        let program = try RunningProgram(
            "producer", arguments,
            ["FINNHUB_TOKEN": Self.key, "TICKSTREAM_FEED_CLOCK_SPEED": String(expectation.speed)])
        started.withLock { $0.append(program) }
        return program
    }

    // MARK: Waiting

    /// Waits until the topic has all that the scenario gives, up to the end of its last connection's steps.
    func waitUntilServed() async throws {
        let least = expectation.trades.reduce(0) { $0 + $1.least }
        try await wait(for: "\(least) trades in the topic, the last that was sent among them") {
            let trades = try tradesTap.records()
            let open = try recording.connections().filter(\.isAccepted)
            guard trades.count >= least, open.count >= expectation.trades.count else { return false }
            guard case .all(let count)? = expectation.trades.last, let frames = open.last?.readable else { return true }
            guard frames.reduce(0, { $0 + $1.tradeCount }) >= count else { return false }
            let last = try frames.last { $0.tradeCount > 0 }.map { try FeedFrame.trades($0.text).last }
            return try trades.last.map { try TopicTrade($0).line } == last
        }
    }

    /// Waits until so many trades stand in the topic.
    func waitForTrades(_ count: Int) async throws {
        try await wait(for: "\(count) trades in the topic") { try tradesTap.records().count >= count }
    }

    /// Waits while no producer has died.
    func wait(for what: String, _ condition: () async throws -> Bool) async throws {
        try await simulator.wait(for: what) {
            for program in producers {
                if let status = program.child.exitStatus, !status.isSuccess {
                    throw TestFailure("a producer \(status)")
                }
            }
            return try await condition()
        }
    }

    /// Lets so many seconds of the producer's clock pass: for showing that something does not happen meanwhile.
    func pass(_ seconds: Int) async throws {
        try await Task.sleep(for: .seconds(seconds) / expectation.speed)
    }

    /// What stands in the topic of trades so far.
    func trades() throws -> [TopicTrade] { try tradesTap.records().map(TopicTrade.init) }

    /// What stands in the topic of events so far.
    func events() throws -> [TopicEvent] { try eventsTap.records().map(TopicEvent.init) }

    private func readAll() async throws {
        for (topic, tap) in [(topics.trades, tradesTap), (topics.events, eventsTap)] {
            let count = try await broker.recordCount(of: topic)
            try await eventually("all of \(topic) is read") { try tap.records().count == count }
        }
    }
}
