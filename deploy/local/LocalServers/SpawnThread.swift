import Foundation
import Synchronization

/// The one thread that starts every child process, and that lives as long as this process.
///
/// The kernel sends a child its parent-death signal when the *thread* that started it ends, not the process.
/// Started from a pool's thread, a child would die whenever the pool shrinks.
final class SpawnThread: Sendable {
    static let shared = SpawnThread()

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let available = DispatchSemaphore(value: 0)

    private init() {
        let thread = Thread { self.work() }
        thread.name = "spawn"
        thread.start()
    }

    private func work() {
        while true {
            available.wait()
            let job = jobs.withLock { $0.removeFirst() }
            job()
        }
    }

    /// Runs `body` on the thread and returns its result; blocks the caller for about the time of a fork.
    func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result {
        let result = Box<Result>()
        jobs.withLock { $0.append { result.fill(body()) } }
        available.signal()
        return result.take()
    }

    private final class Box<Value: Sendable>: Sendable {
        private let value = Mutex<Value?>(nil)
        private let filled = DispatchSemaphore(value: 0)

        func fill(_ value: Value) {
            self.value.withLock { $0 = value }
            filled.signal()
        }

        func take() -> Value {
            filled.wait()
            return value.withLock { $0! }
        }
    }
}
