extension FaultTests {
    /// A hundred trades, an end of the connection, and another connection with five hundred.
    private static func ends(_ scenario: String, _ end: ExpectedEvent) -> Expectation {
        Expectation(scenario, trades: [100, 500], events: [.connected, end, .connected])
    }

    static let closing = [
        ends("close-1000", .ended("the server closed with code 1000 (done)", code: 1000)),
        ends("close-1001", .ended("the server closed with code 1001 (going away)", code: 1001)),
        ends("close-1008", .ended("the server closed with code 1008 (policy)", code: 1008)),
        ends("close-1011", .ended("the server closed with code 1011 (internal error)", code: 1011)),
        // libwebsockets does not know these two.
        ends("close-1012", .ended("the server closed with code 1002", code: 1002)),
        ends("close-1013", .ended("the server closed with code 1002", code: 1002)),
        ends("close-4000", .ended("the server closed with code 4000 (private)", code: 4000)),
        ends("close-end-of-stream", .lost),
        // The trades of the half message are in the gap.
        ends("close-in-mid-frame", .lost),
        ends("close-reset", .lost).with { $0.trades[0] = .beginning(atLeast: 0) },
    ]
}
