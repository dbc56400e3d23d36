import TestSupport
import Testing

/// What the real producer makes of each fault of the feed: docs/scenarios.md.
@Suite(.timeLimit(.minutes(10))) struct FaultTests {
    static let expectations = closing + framing + http + keys + load + payload + silence + tls
    static let chosen = expectations.filter { Scenarios.isChosen($0.scenario) }

    @Test(arguments: chosen)
    func `the producer comes through`(_ expectation: Expectation) async throws {
        var findings = Findings()
        do {
            try await FaultRun.play(expectation).check(&findings)
        } catch {
            findings.expect(false, "\(error)")
        }
        for finding in findings.all { Issue.record("\(expectation.scenario): \(finding)") }
        Tally.shared.add(passed: findings.all.isEmpty)
    }

    @Test func `every scenario has an expectation, and every expectation a scenario`() {
        #expect(Self.expectations.map(\.scenario).sorted() == Scenarios.names)
        #expect(!Self.chosen.isEmpty, "SCENARIOS chooses none of them")
    }
}
