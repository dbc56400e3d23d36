internal import Glibc

/// Runs a call that may hang on a thread of its own and waits for it no longer than allowed.
final class BoundedCall: @unchecked Sendable {
    // Safe to share: `isFinished` is read and written under `mutex` only; the new thread alone calls `body`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let finished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isFinished = false
    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(finished, &attributes)
    }

    deinit {
        pthread_cond_destroy(finished)
        finished.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Whether `body` ended within `limit`; if not, its thread goes on alone, and what it holds is leaked.
    static func run(within limit: Duration, _ body: @escaping @Sendable () -> Void) -> Bool {
        let call = BoundedCall(body)
        let context = Unmanaged.passRetained(call)
        var thread = pthread_t()
        guard pthread_create(&thread, nil, runBody, context.toOpaque()) == 0 else {
            context.release()
            return false
        }
        pthread_detach(thread)
        return call.wait(limit)
    }

    private func wait(_ limit: Duration) -> Bool {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int(limit.milliseconds % 1000) * 1_000_000
        end.tv_sec += Int(limit.milliseconds / 1000) + nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000

        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isFinished {
            guard pthread_cond_timedwait(finished, mutex, &end) == 0 else { break }
        }
        return isFinished
    }

    fileprivate func finish() {
        body()
        pthread_mutex_lock(mutex)
        isFinished = true
        pthread_cond_signal(finished)
        pthread_mutex_unlock(mutex)
    }
}

private func runBody(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<BoundedCall>.fromOpaque(context!).takeRetainedValue().finish()
    return nil
}

extension Duration {
    /// Whole milliseconds, as librdkafka counts: none below zero, and no more than it can take.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        guard seconds < 2_000_000 else { return 2_000_000_000 }
        return Int32(max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
