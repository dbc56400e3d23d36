extension FaultTests {
    /// One connection that brings everything, whatever its frames look like.
    private static func comes(_ scenario: String, _ trades: Int) -> Expectation {
        Expectation(scenario, trades: [.all(trades)], events: [.connected])
    }

    /// A hundred trades, a frame that nobody may take, and another connection.
    private static func breaks(_ scenario: String, _ cause: String, code: Int) -> Expectation {
        Expectation(scenario, trades: [100, 500], events: [.connected, .ended(cause), .connected]).with {
            $0.check = { outcome, findings in
                findings.expectEqual("the end", outcome.connections[0].end, "closed by the client with code \(code)")
            }
        }
    }

    static let framing = [
        comes("frame-100kB", 1900),
        comes("frame-1MB", 14_500),
        comes("frame-empty-final-fragment", 500),
        comes("frame-fragments", 500),
        // All of it comes before the last symbols are subscribed.
        comes("frame-many-a-segment", 500).with { $0.silentSymbols = Set(Expectation.symbols) },
        comes("frame-one-byte-a-segment", 20),
        breaks("frame-binary", "the server sent a binary frame", code: 1003),
        breaks("frame-invalid-utf8", "the server sent a text message that is not UTF-8", code: 1007),
        // libwebsockets does not refuse the mask but takes it off wrongly: what is left is no text.
        breaks("frame-masked", "the server sent a text message that is not UTF-8", code: 1007),
    ]
}
