import ProgramTestSupport

/// Two producers with one key, and a key that is left alone for a time.
extension FaultTests {
    private static let finding = "another client seems to use the same API key"

    /// Two producers that throw each other out, until one of them finds out and keeps away for a minute at least.
    private static func contest(_ scenario: String) -> Expectation {
        Expectation(scenario, trades: [], events: []).with {
            $0.speed = 20
            $0.rate = 100
            $0.isContested = true
            $0.trial = { run in
                try await run.waitForTrades(10)
                try run.start(FaultRun.sources[1])
                try await run.wait(for: "a producer to find out, and to dial again") {
                    try FaultRun.sources.contains { source in
                        let story = try run.events().filter { $0.src == source }
                        guard let told = story.firstIndex(where: isTold) else { return false }
                        return story[told...].contains { $0.kind == "connected" }
                    }
                }
            }
            $0.check = checkContest
        }
    }

    @Sendable private static func isTold(_ event: TopicEvent) -> Bool {
        event.kind == "disconnected" && event.cause?.contains(finding) == true
    }

    @Sendable private static func checkContest(_ outcome: Outcome, _ findings: inout Findings) throws {
        for producer in outcome.producers {
            let story = outcome.story(of: producer.source)
            let ends = story.filter { $0.kind == "disconnected" }
            guard let told = ends.firstIndex(where: isTold) else { continue }
            findings.expectEqual("times that \(producer.source) has told", ends.count(where: isTold), 1)
            findings.expect(told >= 2, "\(producer.source) tells of another client at its end number \(told + 1)")
            findings.expectEqual("contested", producer.metric("feed_key_contested"), 1)
            findings.expect(
                producer.log.contains("give each producer a key of its own"), "the log does not say what to do")
            // Behind the ends stand the pauses, and behind them the connections.
            let pauses = producer.pauses
            findings.expect(
                pauses[..<told].allSatisfy { $0 <= 60 } && pauses[told...].allSatisfy { 60...300 ~= $0 },
                "\(producer.source) waits for \(pauses) s, of which those from number \(told + 1) on are contested")
            guard let next = story.first(where: { $0.kind == "connected" && $0.at > ends[told].at }) else { continue }
            findings.expect(
                next.at - ends[told].at >= 60, "\(producer.source) was back after \(next.at - ends[told].at) s")
        }
        findings.expect(
            outcome.events.contains(where: isTold), "nobody has found out that there is another client")
    }

    static let keys = [
        contest("key-newest-wins"),
        contest("key-close-both"),
        // The second one waits for its minute, until the first has gone.
        Expectation("key-refuse", trades: [], events: []).with {
            $0.speed = 20
            $0.rate = 100
            $0.isContested = true
            $0.trial = { run in
                let second = FaultRun.sources[1]
                try await run.waitForTrades(10)
                try run.start(second)
                try await run.wait(for: "the second to be refused twice") {
                    try run.events().count { $0.src == second && $0.http_status == 429 } == 2
                }
                try await run.producer.stop()
                try await run.wait(for: "the second to be served") {
                    try run.events().contains { $0.src == second && $0.kind == "connected" }
                        && run.trades().contains { $0.source == second }
                }
            }
            $0.check = { outcome, findings in
                findings.expectEqual(
                    "the first's events", outcome.story().map(\.kind), ["connected", "disconnected"])
                let second = outcome.story(of: FaultRun.sources[1])
                let refusals = second.prefix { $0.http_status == 429 }
                findings.expect(
                    refusals.count >= 2
                        && second.dropFirst(refusals.count).map(\.kind) == ["connected", "disconnected"],
                    "the second's events: \(second.map(\.summary))")
                for (refusal, next) in zip(second, second.dropFirst()).prefix(refusals.count) {
                    findings.expect(next.at - refusal.at >= 60, "the next attempt came after \(next.at - refusal.at) s")
                }
                findings.expect(!outcome.events.contains(where: isTold), "a key that is refused is not contested")
            }
        },
        // After the minute, the feed accepts the key again.
        Expectation(
            "key-429-for-a-time", trades: [100, 500], events: [.connected, .lost, .refused(429), .connected]
        ).with {
            $0.speed = 15
            $0.pauses = [1...2, 60...61]
        },
    ]
}
