import Glibc

/// A value that threads share under a lock, and can wait for.
///
/// For hand-overs of whole batches and for control, never for single trades. Every change wakes all who wait.
package final class ConditionLock<State>: @unchecked Sendable {
    // Safe to share: `state` is touched only with `mutex` held.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // A jump of the wall clock must not stretch a deadline.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Runs the body with the lock held, and wakes all who wait.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until the body answers something, and returns that. It runs with the lock held, after every change.
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            pthread_cond_wait(changed, mutex)
        }
    }

    /// The same with a deadline: nil when the body has answered nothing until then. It runs at least once.
    package func wait<Result>(for duration: Duration, _ body: (inout State) -> Result?) -> Result? {
        // What the system takes as a deadline is not negative, and 30 years are as good as ever.
        let duration = min(max(duration, .zero), .seconds(1_000_000_000))
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = Int(duration.components.attoseconds / 1_000_000_000) + deadline.tv_nsec
        deadline.tv_sec += Int(duration.components.seconds) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var isLate = false
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            if isLate { return nil }
            isLate = pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT
        }
    }
}
