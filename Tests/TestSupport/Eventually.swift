import Foundation

/// How long a test waits for what must come. Far beyond what a busy machine takes: only what hangs runs into it, and no
/// test proves speed by it. `TEST_HANG_LIMIT` sets it, in seconds.
package let hangLimit = Duration.seconds(
    ProcessInfo.processInfo.environment["TEST_HANG_LIMIT"].flatMap { Int($0) } ?? 120)

/// How long it is waited between two looks: shortly at first, and longer the longer it takes, since a look may cost a session
/// of a database.
private struct Pauses {
    private var next = Duration.milliseconds(5)

    mutating func take() -> Duration {
        defer { next = min(next * 5 / 4, .milliseconds(50)) }
        return next
    }
}

/// Asks until `condition` holds.
/// - Throws: `TestFailure` when it does not within `limit`; whatever `condition` throws, at once.
package func eventually(
    _ what: String, within limit: Duration = hangLimit, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    var pauses = Pauses()
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        try await Task.sleep(for: pauses.take())
    }
}

/// Asks until `condition` holds; blocks the thread meanwhile.
/// - Throws: `TestFailure` when it does not within `limit`; whatever `condition` throws, at once.
@_disfavoredOverload  // An async function takes the one that suspends.
package func eventually(
    _ what: String, within limit: Duration = hangLimit, _ condition: () throws -> Bool
) throws {
    let deadline = ContinuousClock.now + limit
    var pauses = Pauses()
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        usleep(UInt32(pauses.take() / .microseconds(1)))
    }
}
