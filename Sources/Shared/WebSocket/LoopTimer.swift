internal import CLibwebsockets

/// A one-shot timer of an ``EventLoop``, on the loop thread. Made by ``EventLoop/makeTimer(_:)``.
final class LoopTimer {
    private let entry: UnsafeMutablePointer<shim_timer>
    private unowned(unsafe) let loop: EventLoop
    private let action: () -> Void

    init(loop: EventLoop, _ action: @escaping () -> Void) {
        entry = .allocate(capacity: 1)
        entry.initialize(to: shim_timer())
        self.loop = loop
        self.action = action
        entry.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    }

    /// Only once the loop has cancelled it: the entry must not be in libwebsockets' list any more.
    deinit {
        entry.deallocate()
    }

    /// Runs the action once after the delay; a timer that is running is moved. Without effect once the loop has ended.
    func start(after delay: Duration) {
        guard let context = loop.context else { return }
        let (seconds, attoseconds) = delay.components
        let microseconds = seconds.multipliedReportingOverflow(by: 1_000_000)
        // A century is for ever, and keeps the sum with the clock in range.
        let wait = microseconds.overflow ? Int64.max / 2 : microseconds.partialValue + attoseconds / 1_000_000_000_000
        lws_sul_schedule(context, 0, &entry.pointee.entry, Self.fire, max(1, min(wait, 3_155_760_000_000_000)))
    }

    /// Stops the timer, if it is running.
    func cancel() {
        lws_sul_cancel(&entry.pointee.entry)
    }

    private static let fire: @convention(c) (UnsafeMutablePointer<lws_sorted_usec_list_t>?) -> Void = { entry in
        guard let owner = UnsafeMutableRawPointer(entry)?.assumingMemoryBound(to: shim_timer.self).pointee.owner else {
            return
        }
        Unmanaged<LoopTimer>.fromOpaque(owner).takeUnretainedValue().action()
    }
}
