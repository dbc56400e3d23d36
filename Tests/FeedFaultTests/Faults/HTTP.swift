extension FaultTests {
    /// An attempt that fails, and another that brings five hundred trades.
    private static func fails(
        _ scenario: String, _ failure: ExpectedEvent, pause: ClosedRange<Double> = 1...2, speed: Int = 1
    ) -> Expectation {
        Expectation(scenario, trades: [500], events: [failure, .connected]).with {
            $0.pauses = [pause]
            $0.speed = speed
        }
    }

    static let http = [
        fails("http-200", .refused(200)),
        // Nobody follows: the key would go elsewhere.
        fails("http-301", .refused(301)),
        fails("http-401", .refused(401), pause: 300...300, speed: 60),
        fails("http-403", .refused(403), pause: 300...300, speed: 60),
        fails("http-429", .refused(429), pause: 60...61, speed: 30),
        fails("http-429-retry-after", .refused(429), pause: 60...61, speed: 30),
        fails("http-429-retry-after-long", .refused(429), pause: 90...91, speed: 30),
        fails("http-503", .refused(503)),
        fails("http-524", .refused(524)),
        fails("http-end-of-stream", .failed("the handshake failed")),
        fails("http-no-reply", .failed("no connection within 5.0 seconds"), speed: 6),
        fails("http-reset", .failed("the handshake failed")),
        fails("http-wrong-hash", .failed("the handshake failed")),
        // Slow, and in time.
        Expectation("http-slow-drip", trades: [500], events: [.connected]),
    ]
}
