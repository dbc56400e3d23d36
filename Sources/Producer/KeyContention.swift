import WebSocket

/// Finds out whether another client uses the same API key: the feed lets one connection a key live, so two clients throw
/// each other out, again and again, soon after each has been let in.
///
/// A pure state machine on monotonic time. An episode begins with several short-lived connections in a row and ends when
/// one has lived longer than another client would stay away.
struct KeyContention {
    /// A connection that is dropped sooner than this after it opened may have been thrown out.
    static let shortLife = Duration.seconds(30)
    /// So many of them in a row make a suspicion, when they ended within the window.
    static let shortLivesNeeded = 3
    static let window = Duration.seconds(300)
    /// What is to be said when an episode begins.
    static let finding =
        "another client seems to use the same API key: \(shortLivesNeeded) connections in a row were dropped within "
        + "\(shortLife) of their opening"
    /// Another client with this program's pauses would have dialled by then, twice over.
    static let overAfter = ReconnectionPolicy.longestContested * 2

    /// When the short-lived connections in a row ended, the oldest first.
    private var shortLives: [ContinuousClock.Instant] = []
    /// Whether another client seems to use the key.
    private(set) var isSuspected = false

    /// Notes the end of a connection.
    /// - Parameter openFor: how long it had been open. Attempts that were never open tell nothing, and are not for here.
    /// - Returns: true when an episode begins.
    mutating func ended(
        _ cause: WebSocketClosure.Cause, openFor: Duration, at now: ContinuousClock.Instant
    ) -> Bool {
        guard openFor < Self.shortLife, Self.isDrop(cause) else {
            shortLives = []
            return false
        }
        shortLives.append(now)
        shortLives.removeAll { now - $0 > Self.window }
        guard !isSuspected, shortLives.count >= Self.shortLivesNeeded else { return false }
        isSuspected = true
        return true
    }

    /// Notes that the connection lives; to be called now and then.
    /// - Returns: true when that ends an episode.
    mutating func lives(for openFor: Duration) -> Bool {
        guard isSuspected, openFor >= Self.overAfter else { return false }
        isSuspected = false
        shortLives = []
        return true
    }

    /// Whether the other side ended the connection. What this side ends has reasons of its own.
    private static func isDrop(_ cause: WebSocketClosure.Cause) -> Bool {
        switch cause {
        case .connectionLost, .closedByServer: true
        default: false
        }
    }
}
