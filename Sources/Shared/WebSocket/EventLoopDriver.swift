internal import CLibwebsockets

/// Who a loop belongs to and reports to: the client or one of the servers. All calls come on the loop thread.
protocol EventLoopDriver: AnyObject {
    /// The loop thread has entered ``EventLoop/run()``.
    func loopStarted()
    /// ``EventLoop/wake(_:)`` was called, for each of these reasons at least once.
    func loopWoken(_ reasons: WakeReasons)
    /// A timer set by token is due.
    func loopTimer(_ token: Int)
    /// An event of a connection; what is returned goes back to libwebsockets (-1 closes).
    func handle(_ event: LoopEvent) -> Int32
    /// The loop has ended and every connection with it.
    func loopStopped()
}

/// Why a loop was woken.
struct WakeReasons: OptionSet {
    let rawValue: UInt8

    /// The program asked for it.
    static let program = WakeReasons(rawValue: 1)
    /// A name look-up is over.
    static let lookup = WakeReasons(rawValue: 2)
}

/// One callback of libwebsockets.
struct LoopEvent {
    let wsi: OpaquePointer
    let reason: lws_callback_reasons
    let user: UnsafeMutableRawPointer?
    let bytes: UnsafeMutableRawPointer?
    let length: Int
}
