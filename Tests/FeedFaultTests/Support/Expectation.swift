import Testing

/// What the producer is to make of a scenario.
struct Expectation: Sendable, CustomTestStringConvertible {
    /// What of a connection's trades stands in the topic.
    enum Share: Sendable, ExpressibleByIntegerLiteral {
        /// All that a client could read, and they are so many.
        case all(Int)
        /// The first ones, at least so many: the connection is cut off somewhere, or goes on until the stop.
        case beginning(atLeast: Int)

        init(integerLiteral count: Int) { self = .all(count) }

        var least: Int {
            switch self {
            case .all(let count), .beginning(let count): count
            }
        }
    }

    static let symbols = ["AAPL", "AMZN", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT"]

    /// The name of the scenario's file.
    let scenario: String
    /// For each connection that was open.
    var trades: [Share]
    /// Up to the stop, which ends the connection that is open then.
    var events: [ExpectedEvent]
    /// How long the producer waits after each end, in seconds; nil for the pauses of one failure after the other.
    var pauses: [ClosedRange<Double>]?
    /// Items by the reason for which they are no trades.
    var rejected: [String: Int] = [:]
    /// How many error messages the feed sends.
    var errors = 0
    var symbols = Expectation.symbols
    /// Those of them that never come.
    var silentSymbols: Set<String> = []
    /// Trades a second, where the scenario says nothing else.
    var rate = 1000
    /// How many times faster than time the producer's clock runs.
    var speed = 1
    /// After how many minutes a symbol counts as mute.
    var muteAfter = 120
    /// After how many seconds of its clock without any sign of life the producer gives a connection up.
    var idleTimeout = 86_400
    /// Whether two producers share the connections, so that only `check` knows what events and pauses there are.
    var isContested = false
    /// The simulator's options.
    var simulator: [String] = []
    /// What happens until the producer is stopped.
    var trial: @Sendable (FaultRun) async throws -> Void = { try await $0.waitUntilServed() }
    /// What else is to be found.
    var check: @Sendable (Outcome, inout Findings) throws -> Void = { _, _ in }

    init(_ scenario: String, trades: [Share], events: [ExpectedEvent]) {
        (self.scenario, self.trades, self.events) = (scenario, trades, events)
    }

    /// One with changes.
    func with(_ change: (inout Expectation) -> Void) -> Expectation {
        var result = self
        change(&result)
        return result
    }

    var testDescription: String { scenario }

    /// How long each pause may be that the producer takes after an end.
    var allPauses: [ClosedRange<Double>] {
        pauses ?? events.filter { $0.kind == "disconnected" }.indices.map { 1...Double(2 << min($0, 5)) }
    }
}

/// An event that is to stand in the topic.
struct ExpectedEvent: Sendable {
    let kind: String
    /// What its cause contains.
    var cause: String?
    var closeCode: Int?
    var httpStatus: Int?
    var symbol: String?
    /// Of an end: whether the connection had been open.
    var wasOpen: Bool?

    static let connected = ExpectedEvent(kind: "connected")
    /// The end of a connection that was open.
    static func ended(_ cause: String, code: Int? = nil) -> Self {
        Self(kind: "disconnected", cause: cause, closeCode: code, wasOpen: true)
    }
    /// The end of an attempt.
    static func failed(_ cause: String, status: Int? = nil) -> Self {
        Self(kind: "disconnected", cause: cause, httpStatus: status, wasOpen: false)
    }
    static func refused(_ status: Int) -> Self {
        failed("refused the upgrade with HTTP status \(status)", status: status)
    }
    static func stalled(_ cause: String) -> Self { Self(kind: "stalled", cause: cause) }
    static func mute(_ symbol: String) -> Self { Self(kind: "symbol_mute", symbol: symbol) }
    static func unsubscribed(_ symbol: String?, _ cause: String) -> Self {
        Self(kind: "subscription_refused", cause: cause, symbol: symbol)
    }
    static let stopped = ended("closed because the client was stopped")
    static let lost = ended("the connection was lost without a close frame")

    func matches(_ event: TopicEvent) -> Bool {
        event.kind == kind && event.close_code == closeCode && event.http_status == httpStatus && event.symbol == symbol
            && (cause.map { event.cause?.contains($0) == true } ?? (event.cause == nil))
            && (wasOpen.map { (event.connected_ms != nil) == $0 } ?? true)
    }

    var summary: String {
        var words = [kind]
        if let symbol { words.append(symbol) }
        if let httpStatus { words.append("HTTP \(httpStatus)") }
        if let closeCode { words.append("code \(closeCode)") }
        if let cause { words.append("'…\(cause)…'") }
        return words.joined(separator: " ")
    }
}
