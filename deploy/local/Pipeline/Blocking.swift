import ServiceKit

/// Runs blocking calls on a thread of their own and waits for them without holding up Swift's pool.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        ServiceThread.start("blocking") {
            continuation.resume(with: Swift.Result { try body() })
        }
    }
}
