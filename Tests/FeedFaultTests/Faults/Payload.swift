import ProgramTestSupport

extension FaultTests {
    /// One connection that brings everything, odd as it looks.
    private static func comes(
        _ scenario: String, _ trades: Int,
        _ check: @escaping @Sendable (Outcome, inout Findings) throws -> Void = { _, _ in }
    ) -> Expectation {
        Expectation(scenario, trades: [.all(trades)], events: [.connected]).with { $0.check = check }
    }

    /// Two hundred trades, each of which comes so many times.
    private static func repeats(_ scenario: String, _ times: Int) -> Expectation {
        comes(scenario, 200 * times) { outcome, findings in
            // Real twins would come on top.
            let counts = outcome.trades.reduce(into: [:]) { $0[$1.repeats, default: 0] += 1 }
            findings.expect(
                counts[0, default: 0] <= 200 && counts[times - 1, default: 0] >= counts[0, default: 0],
                "so many trades were there so often before: \(counts)")
        }
    }

    /// Finds out whether all prices or volumes look like this.
    private static func looks(
        _ scenario: String, like pattern: String
    ) -> Expectation {
        comes(scenario, 200) { outcome, findings in
            let odd = try Regex(pattern)
            let sent = outcome.connections[0].frames.map(\.text)
            findings.expect(sent.allSatisfy { $0.contains(odd) }, "the feed has sent nothing odd")
        }
    }

    static let payload = [
        comes("payload-after-unsubscribe", 0).with {
            // The producer never unsubscribes: to it this is an ordinary feed.
            $0.trades = [.beginning(atLeast: 500)]
        },
        comes("payload-51st-subscription", 0).with {
            $0.symbols = (1...52).map { "SIM:00\($0 < 10 ? "0" : "")\($0)" }
            $0.silentSymbols = ["SIM:0051", "SIM:0052"]
            $0.simulator = ["--extra-symbols", "60"]
            $0.trades = [.beginning(atLeast: 5000)]
            $0.errors = 2
            $0.events = [.connected, .unsubscribed(nil, "Subscribing to too many symbols")]
        },
        Expectation(
            "payload-bad-items", trades: [202], events: [.connected]
        ).with { $0.rejected = ["missing_field": 1, "price_not_positive": 1, "wrong_type": 1] },
        looks("payload-conditions-absent", like: #"^(?!.*"c":).*$"#),
        looks("payload-conditions-empty", like: #""c":\[\]"#),
        looks("payload-conditions-null", like: #""c":null"#),
        repeats("payload-copies-2-in-frame", 2),
        repeats("payload-copies-2-across-frames", 2),
        repeats("payload-copies-3-in-frame", 3),
        repeats("payload-copies-3-across-frames", 3),
        comes("payload-data-empty", 200),
        comes("payload-data-null", 200),
        comes("payload-error", 200).with {
            $0.errors = 1
            $0.events = [.connected, .unsubscribed(nil, "Internal error")]
        },
        comes("payload-invalid-symbol", 500).with {
            $0.errors = 1
            $0.silentSymbols = ["AMZN"]
            $0.events = [.connected, .unsubscribed("AMZN", "Invalid symbol AMZN")]
            $0.check = { outcome, findings in
                findings.expectEqual("refused", outcome.producers[0].metric("feed_symbols_refused"), 1)
                findings.expectEqual("subscribed", outcome.producers[0].metric("feed_symbols_subscribed"), 3)
            }
        },
        comes("payload-key-order", 200),
        comes("payload-never-subscribed", 210) { outcome, findings in
            let others = outcome.trades.count { $0.line.hasPrefix("IC MARKETS:1|") }
            findings.expectEqual("trades that nobody asked for", others, 10)
        }.with {
            $0.trial = { run in
                try await run.waitUntilServed()
                // They are counted once a second.
                try await run.wait(for: "the count") {
                    try await run.producer.metric("feed_trades_unsubscribed_total") == 10
                }
            }
        },
        looks("payload-numbers-17-digits", like: #""p":[0-9.]{18},"#),
        looks("payload-numbers-exponent", like: #""p":[0-9.]+e"#),
        looks("payload-numbers-integer", like: #""p":[0-9]+,"#),
        comes("payload-times-future", 200),
        comes("payload-times-late", 200),
        Expectation("payload-truncated-json", trades: [201], events: [.connected]).with {
            $0.rejected = ["malformed_json": 1]
        },
        comes("payload-unknown-type", 200),
    ]
}
