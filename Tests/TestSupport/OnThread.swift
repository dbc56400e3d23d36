import Foundation

/// Runs blocking code away from the cooperative pool, within the same task, so that failures belong to their test.
package func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
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
