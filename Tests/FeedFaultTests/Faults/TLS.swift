extension FaultTests {
    /// A certificate that is refused with its reason, and then a good one.
    private static func refuses(_ scenario: String, _ reason: String) -> Expectation {
        Expectation(scenario, trades: [500], events: [.failed(reason), .connected]).with {
            $0.check = { outcome, findings in
                findings.expect(
                    outcome.connections[0].end?.hasPrefix("TLS failed") == true,
                    "the refused connection's end is '\(outcome.connections[0].end ?? "none")'")
            }
        }
    }

    static let tls = [
        refuses("tls-expired", "certificate has expired"),
        refuses("tls-self-signed", "self-signed certificate"),
        refuses("tls-wrong-host", "hostname mismatch"),
        Expectation("tls-drop-in-mid-stream", trades: [100, 500], events: [.connected, .lost, .connected]),
    ]
}
