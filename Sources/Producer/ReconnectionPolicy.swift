import WebSocket

/// How long to wait before the next attempt to connect: endless, spread by chance, and gentle to a feed that refuses.
///
/// A pure state machine: it is told what happened, and answers with a pause.
struct ReconnectionPolicy {
    /// The pauses' lower and upper bound.
    static let shortest = Duration.seconds(1)
    static let longest = Duration.seconds(60)
    /// How long a connection must have brought data for its end to count as the first failure.
    static let stableAfter = Duration.seconds(60)
    /// The least pause after "too many requests".
    static let afterTooMany = Duration.seconds(60)
    /// The pause after a refused key: it does not become right by itself, but a plan may be renewed.
    static let afterRefusedKey = Duration.seconds(300)
    /// The pauses' bounds while another client has the key. Far apart, so that two clients do not keep step.
    static let shortestContested = Duration.seconds(60)
    static let longestContested = Duration.seconds(300)
    /// The longest pause that the feed may ask for: a slip of the server must not put the producer to sleep for days.
    static let longestAskedFor = Duration.seconds(3600)

    private var failures = 0

    /// The pause after the end of a connection or of an attempt.
    /// - Parameters:
    ///   - dataFor: how long the connection had been bringing data.
    ///   - isContested: whether another client seems to use the same key.
    ///   - random: a number from 0 up to 1.
    mutating func pause(
        after cause: WebSocketClosure.Cause, dataFor: Duration, isContested: Bool = false, random: Double
    ) -> Duration {
        if dataFor >= Self.stableAfter { failures = 0 }
        let ceiling = min(Self.longest, Self.shortest * (2 << min(failures, 5)))
        let backoff = Self.shortest + (ceiling - Self.shortest) * random
        failures += 1
        let contested =
            isContested ? Self.shortestContested + (Self.longestContested - Self.shortestContested) * random : .zero
        switch cause {
        case .refused(401, _), .refused(403, _):
            return Self.afterRefusedKey
        case .refused(429, let retryAfter):
            let asked = min(retryAfter ?? .zero, Self.longestAskedFor)
            return max(max(asked, Self.afterTooMany) + Self.shortest * random, contested)
        case .refused(_, let retryAfter?):
            return max(min(retryAfter, Self.longestAskedFor), backoff, contested)
        default:
            return max(backoff, contested)
        }
    }
}
