import Foundation

/// How long a test waits for what must come. Far beyond what a busy machine takes: only what hangs runs into it, and no
/// test proves speed by it. `TEST_HANG_LIMIT` sets it, in seconds.
package let hangLimit = Duration.seconds(
    ProcessInfo.processInfo.environment["TEST_HANG_LIMIT"].flatMap { Int($0) } ?? 120)

/// Asks until `condition` holds.
/// - Throws: `TestFailure` when it does not within `limit`; whatever `condition` throws, at once.
package func eventually(
    _ what: String, within limit: Duration = hangLimit, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Asks until `condition` holds; blocks the thread meanwhile.
/// - Throws: `TestFailure` when it does not within `limit`; whatever `condition` throws, at once.
@_disfavoredOverload  // An async function takes the one that suspends.
package func eventually(
    _ what: String, within limit: Duration = hangLimit, _ condition: () throws -> Bool
) throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        usleep(5_000)
    }
}
