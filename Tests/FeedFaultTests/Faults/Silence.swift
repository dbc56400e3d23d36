extension FaultTests {
    static let silence = [
        Expectation(
            "silence-half-open", trades: [100, 500],
            events: [
                .connected, .stalled("nothing was received for 3.0 seconds"),
                .ended("nothing was received for 3.0 seconds"), .connected,
            ]
        ).with {
            $0.speed = 40
            $0.idleTimeout = 120
            $0.check = { outcome, findings in
                findings.expectEqual("the end", outcome.connections[0].end, "the client has left")
                let story = outcome.story()
                guard story.count > 2, let from = story[1].from else { return }
                findings.expectEqual("the start of the silence", from, story[2].from)
                // Before its last second, nobody may have lost patience.
                findings.expect(story[1].at - from >= 119, "the silence was given up after \(story[1].at - from) s")
            }
        },
        // Told, and no reason to dial anew.
        Expectation(
            "silence-no-pings", trades: [.beginning(atLeast: 500)],
            events: [.connected, .stalled("no ping of the feed for 300.0 seconds")]
        ).with {
            $0.speed = 100
            $0.rate = 200
            $0.trial = { run in
                try await run.wait(for: "the event") { try run.events().contains { $0.kind == "stalled" } }
                try await run.pass(300)
                try await run.waitUntilServed()
            }
        },
        Expectation(
            "silence-pings-only", trades: [100],
            events: [.connected] + Expectation.symbols.map(ExpectedEvent.mute)
        ).with {
            $0.speed = 40
            $0.muteAfter = 3
            $0.idleTimeout = 120
            $0.trial = muted
        },
        Expectation(
            "silence-one-symbol", trades: [.beginning(atLeast: 500)], events: [.connected, .mute("AAPL")]
        ).with {
            $0.speed = 40
            $0.rate = 200
            $0.muteAfter = 3
            $0.idleTimeout = 120
            $0.trial = muted
        },
    ]

    /// Waits for as many silent symbols as are expected, and then as long as no connection without a sign of life would be
    /// kept.
    private static let muted: @Sendable (FaultRun) async throws -> Void = { run in
        let count = run.expectation.events.count { $0.kind == "symbol_mute" }
        try await run.wait(for: "the events") { try run.events().count { $0.kind == "symbol_mute" } == count }
        try await run.pass(130)
        try await run.waitUntilServed()
    }
}
