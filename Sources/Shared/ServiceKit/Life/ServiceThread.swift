import Glibc

/// A thread of its own for an event loop or for blocking calls, which must not run on Swift's cooperative pool.
package enum ServiceThread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a detached thread; `name` (at most 15 bytes are kept) shows in `top -H` and debuggers.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(Start(name: name, body: body)).toOpaque()
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, Self.enter, context)
        precondition(status == 0, "the system refuses a thread: \(String(cString: strerror(status)))")
        pthread_detach(thread)
    }

    private static let enter: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
        let start = Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
        // The C function for this is a GNU extension that Swift does not import.
        if let file = fopen("/proc/thread-self/comm", "w") {
            fputs(start.name, file)
            fclose(file)
        }
        start.body()
        return nil
    }
}
