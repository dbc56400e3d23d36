import Glibc
import LocalServers
import ProgramTestSupport

extension FaultTests {
    static let load = [
        Expectation("load-burst", trades: [20_500], events: [.connected]),
        // The producer stands still, and the feed throws it out.
        Expectation(
            "load-slow-consumer", trades: [.beginning(atLeast: 1), 500], events: [.connected, .lost, .connected]
        ).with {
            $0.trial = { run in
                try await run.waitForTrades(1)
                run.producer.child.kill(SIGSTOP)
                try await run.wait(for: "the feed to lose patience") {
                    try run.recording.connections()[0].end != nil
                }
                run.producer.child.kill(SIGCONT)
                try await run.waitUntilServed()
            }
            $0.check = { outcome, findings in
                findings.expectEqual(
                    "the end", outcome.connections[0].end, "reset, since the client took nothing for too long")
            }
        },
    ]
}
