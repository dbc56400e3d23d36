import Synchronization

/// Tells a running service to stop.
package final class ShutdownSignal: Sendable {
    private let requested = Atomic(false)
    private let handlers = ConditionLock<[@Sendable () -> Void]>([])

    package init() {}

    /// Whether the service should stop; cheap enough to ask in a loop.
    package var isRequested: Bool { requested.load(ordering: .acquiring) }

    /// Asks the service to stop. Asking again changes nothing.
    package func request() {
        let pending = handlers.withLock { handlers in
            requested.store(true, ordering: .releasing)
            defer { handlers = [] }
            return handlers
        }
        for handler in pending { handler() }
    }

    /// Has something done when the stop is asked for: to wake a loop that blocks. At once when it has been.
    package func onRequest(_ handler: @escaping @Sendable () -> Void) {
        let isLate = handlers.withLock { handlers in
            if isRequested { return true }
            handlers.append(handler)
            return false
        }
        if isLate { handler() }
    }

    /// Waits until the stop is asked for.
    package func wait() {
        handlers.wait { _ in isRequested ? () : nil }
    }

    /// Waits until the stop is asked for, but no longer than this.
    /// - Returns: whether it has been asked for.
    package func wait(for duration: Duration) -> Bool {
        handlers.wait(for: duration) { _ in isRequested ? true : nil } ?? false
    }
}
