import Testing
import WebSocket

@testable import Producer

@Suite struct ReconnectionPolicyTests {
    @Test func `pauses double from a second up to a minute, and chance spreads each over its whole range`() {
        for (random, expected) in [
            (0.0, [1, 1, 1, 1, 1, 1, 1, 1]), (0.5, [1.5, 2.5, 4.5, 8.5, 16.5, 30.5, 30.5, 30.5]),
            (1.0, [2, 4, 8, 16, 32, 60, 60, 60]),
        ] as [(Double, [Double])] {
            var policy = ReconnectionPolicy()
            for seconds in expected {
                #expect(policy.pause(after: .connectionLost, dataFor: .zero, random: random) == .seconds(seconds))
            }
        }
    }

    @Test func `pauses stay inside their bounds for ever`() {
        var policy = ReconnectionPolicy()
        for _ in 0..<10_000 {
            let pause = policy.pause(after: .idle(.seconds(120)), dataFor: .zero, random: .random(in: 0..<1))
            #expect(ReconnectionPolicy.shortest...ReconnectionPolicy.longest ~= pause)
        }
    }

    @Test func `only a minute of data makes the next failure the first one again`() {
        var policy = ReconnectionPolicy()
        func pause(_ dataFor: Duration) -> Duration {
            policy.pause(after: .closedByServer(code: 1001, reason: ""), dataFor: dataFor, random: 1)
        }
        for _ in 0..<10 { _ = pause(.zero) }
        #expect(pause(.milliseconds(59_999)) == .seconds(60))
        #expect(pause(.seconds(60)) == .seconds(2))
        #expect(pause(.zero) == .seconds(4))
    }

    @Test func `too many requests pause for a minute at least, or as long as the feed says`() {
        var policy = ReconnectionPolicy()
        func pause(_ retryAfter: Duration?, _ random: Double) -> Duration {
            policy.pause(after: .refused(status: 429, retryAfter: retryAfter), dataFor: .zero, random: random)
        }
        #expect(pause(nil, 0) == .seconds(60))
        #expect(pause(nil, 0.5) == .milliseconds(60_500))
        #expect(pause(.seconds(10), 0) == .seconds(60))
        #expect(pause(.seconds(90), 0) == .seconds(90))
        #expect(pause(.seconds(90), 0.5) == .milliseconds(90_500))
    }

    @Test(arguments: [401, 403]) func `a refused key pauses for five minutes`(status: Int) {
        var policy = ReconnectionPolicy()
        for retryAfter in [nil, Duration.seconds(1)] {
            #expect(
                policy.pause(after: .refused(status: status, retryAfter: retryAfter), dataFor: .zero, random: 0)
                    == .seconds(300))
        }
    }

    @Test func `another refusal pauses as long as the feed says, or by the rule`() {
        var policy = ReconnectionPolicy()
        func pause(_ retryAfter: Duration?) -> Duration {
            policy.pause(after: .refused(status: 503, retryAfter: retryAfter), dataFor: .zero, random: 1)
        }
        #expect(pause(nil) == .seconds(2))
        #expect(pause(.seconds(1)) == .seconds(4))
        #expect(pause(.seconds(30)) == .seconds(30))
    }

    @Test func `a contested key pauses for one to five minutes, by chance, and no shorter than otherwise`() {
        func pause(_ cause: WebSocketClosure.Cause, _ random: Double) -> Duration {
            var policy = ReconnectionPolicy()
            return policy.pause(after: cause, dataFor: .seconds(100), isContested: true, random: random)
        }
        for (random, expected) in [(0.0, 60), (0.5, 180), (1.0, 300)] as [(Double, Int)] {
            #expect(pause(.connectionLost, random) == .seconds(expected))
            #expect(pause(.refused(status: 503, retryAfter: .seconds(1)), random) == .seconds(expected))
        }
        #expect(pause(.refused(status: 429, retryAfter: nil), 1) == .seconds(300))
        #expect(pause(.refused(status: 429, retryAfter: .seconds(900)), 0) == .seconds(900))
    }

    @Test(arguments: [429, 503]) func `the feed may ask for an hour, and no longer`(status: Int) {
        for (asked, expected) in [(3599, 3599), (3600, 3600), (.max, 3600)] as [(Int64, Int)] {
            var policy = ReconnectionPolicy()
            let cause = WebSocketClosure.Cause.refused(status: status, retryAfter: .seconds(asked))
            #expect(policy.pause(after: cause, dataFor: .zero, random: 0) == .seconds(expected))
        }
    }
}
