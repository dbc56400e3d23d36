import ServiceKit
import Synchronization

/// Says from a thread of its own when it is time to look at what is due, while there are clients.
///
/// Not a timer of the loop: libwebsockets 4.1 waits in whole milliseconds and spins through the rest, so a tick of one
/// millisecond would take a core.
final class Pacemaker: Sendable {
    private enum State {
        case resting, ticking, stopped
    }

    private let state = ConditionLock(State.resting)
    private let stopped = Atomic(false)

    /// Whether ``stop()`` was called; cheap enough to ask at every tick. Any thread.
    var isStopped: Bool { stopped.load(ordering: .acquiring) }

    /// Starts or rests the ticks. Any thread.
    func set(isTicking: Bool) {
        state.withLock { if $0 != .stopped { $0 = isTicking ? .ticking : .resting } }
    }

    /// Ends ``run(every:_:)``. Any thread.
    func stop() {
        stopped.store(true, ordering: .releasing)
        state.withLock { $0 = .stopped }
    }

    /// Ticks on the calling thread until the stop.
    func run(every interval: Duration, _ tick: () -> Void) {
        while state.wait({ $0 == .resting ? nil : $0 }) == .ticking {
            tick()
            _ = state.wait(for: interval) { $0 == .stopped ? true : nil }
        }
    }
}
