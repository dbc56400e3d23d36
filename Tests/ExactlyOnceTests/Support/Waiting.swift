import Foundation
import Synchronization

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Asks until `condition` holds.
func eventually(_ what: String, within limit: Duration = .seconds(30), _ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(limit): \(what)") }
        usleep(5_000)
    }
}

/// Runs blocking code away from the cooperative pool, within the same task, so that failures belong to their test.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withTaskExecutorPreference(ThreadExecutor()) { try await onPreferredExecutor(body) }
}

@concurrent private func onPreferredExecutor<R: Sendable>(_ body: @Sendable () throws -> R) async throws -> R {
    try body()
}

/// Runs each job on a thread of its own.
private final class ThreadExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Work on a thread of its own, whose outcome is awaited.
final class Worker<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> Value) {
        Thread.detachNewThread {
            let result = Result { try body() }
            self.outcome.withLock { $0 = result }
        }
    }

    var isOver: Bool { outcome.withLock { $0 != nil } }

    func value(within limit: Duration = .seconds(30)) throws -> Value {
        try eventually("a thread ends", within: limit) { isOver }
        return try outcome.withLock { $0 }!.get()
    }
}
