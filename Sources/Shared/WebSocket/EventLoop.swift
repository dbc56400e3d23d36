internal import CLibwebsockets
import Glibc
import Synchronization

/// One libwebsockets context with its service thread: creation, running, waking and timers, for client and servers alike.
///
/// `run`, `stop` and `wake` may be called from any thread; all else belongs to the loop thread, which is why the
/// unchecked conformance is safe. One loop runs once.
final class EventLoop: @unchecked Sendable {
    /// The bytes that one read takes and the largest chunk of a message that comes in one piece.
    static let chunkBytes = 64 << 10

    private(set) var context: OpaquePointer?
    /// What listens, or what connections are dialled from.
    private(set) var vhost: OpaquePointer?
    private unowned(unsafe) var driver: any EventLoopDriver
    /// Text that the context points to.
    private var strings: [UnsafeMutablePointer<CChar>] = []
    private var timers: [LoopTimer] = []
    private var tokenTimers: [Int: LoopTimer] = [:]
    private let stopRequested = Atomic(false)
    private let wakeReasons = Atomic<UInt8>(0)
    /// The context while it can be woken; the lock keeps it from being destroyed under a caller of `wake`.
    private let wakeable = Mutex<UInt?>(nil)

    /// Creates the context. The driver must outlive the loop's use, and call ``discard()`` in its own `deinit`.
    ///
    /// - Parameter configure: fills in what differs between client and servers; text goes through ``keep(_:)``.
    init(
        driver: any EventLoopDriver, _ configure: (inout lws_context_creation_info, EventLoop) -> Void
    ) throws(WebSocketError) {
        self.driver = driver
        LibwebsocketsLog.dropByDefault()
        _ = Self.tlsReady
        var info = lws_context_creation_info()
        info.protocols = UnsafePointer(Self.protocols)
        info.pt_serv_buf_size = UInt32(Self.chunkBytes)
        info.user = Unmanaged.passUnretained(self).toOpaque()
        configure(&info, self)
        let vhostOptions = info.options
        info.options = UInt64(LWS_SERVER_OPTION_EXPLICIT_VHOSTS)
        context = lws_create_context(&info)
        info.options = vhostOptions
        vhost = context.flatMap { lws_create_vhost($0, &info) }
        guard let context, vhost != nil else {
            discard()
            throw WebSocketError(
                code: .setupFailed,
                message: "libwebsockets cannot set up an event loop: look at its log, at certificate files, memory"
                    + " and the limit of open files")
        }
        wakeable.withLock { $0 = UInt(bitPattern: context) }
    }

    deinit {
        for string in strings { free(string) }
    }

    /// A C string that lives as long as the loop.
    func keep(_ text: String) -> UnsafePointer<CChar> {
        let string = strdup(text)!
        strings.append(string)
        return UnsafePointer(string)
    }

    /// Serves connections and timers on the calling thread until ``stop()``; then closes everything.
    func run() {
        driver.loopStarted()
        while let context, !stopRequested.load(ordering: .acquiring) {
            if lws_service(context, 0) < 0 { break }
        }
        discard()
        driver.loopStopped()
    }

    /// Makes ``run()`` return soon. Any thread; may come before `run`.
    func stop() {
        stopRequested.store(true, ordering: .releasing)
        interrupt()
    }

    /// Has the driver called back on the loop thread. Any thread; calls in quick succession may come as one.
    func wake(_ reason: WakeReasons = .program) {
        wakeReasons.bitwiseOr(reason.rawValue, ordering: .releasing)
        interrupt()
    }

    /// Whether the loop is ending or has ended: nothing new may be begun.
    var isStopping: Bool { context == nil || stopRequested.load(ordering: .acquiring) }

    private func interrupt() {
        wakeable.withLock { address in
            if let address { lws_cancel_service(OpaquePointer(bitPattern: address)) }
        }
    }

    /// Destroys the context, which closes its connections. Loop thread, or any once the loop cannot run any more.
    func discard() {
        guard let context else { return }
        wakeable.withLock { $0 = nil }
        for timer in timers { timer.cancel() }
        self.context = nil
        lws_context_destroy(context)
    }

    /// A timer that runs an action on the loop thread. The loop keeps it.
    func makeTimer(_ action: @escaping () -> Void) -> LoopTimer {
        let timer = LoopTimer(loop: self, action)
        timers.append(timer)
        return timer
    }

    /// Starts the timer with a token, or moves it when it is running.
    func schedule(after delay: Duration, token: Int) {
        let timer: LoopTimer
        if let known = tokenTimers[token] {
            timer = known
        } else {
            timer = makeTimer { [unowned self] in driver.loopTimer(token) }
            tokenTimers[token] = timer
        }
        timer.start(after: delay)
    }

    /// Stops the timer with a token, if it is running.
    func cancel(token: Int) {
        tokenTimers[token]?.cancel()
    }

    /// The one protocol that every context serves: libwebsockets keeps pointers into the table, so it lives for ever.
    private nonisolated(unsafe) static let protocols: UnsafeMutablePointer<lws_protocols> = {
        let table = UnsafeMutablePointer<lws_protocols>.allocate(capacity: 2)
        table.initialize(repeating: lws_protocols(), count: 2)
        table[0].name = UnsafePointer(strdup("websocket"))
        table[0].callback = { wsi, reason, user, bytes, length in
            EventLoop.dispatch(wsi, reason, user, bytes, length)
        }
        table[0].rx_buffer_size = chunkBytes
        table[0].tx_packet_size = 4 * chunkBytes
        return table
    }()

    /// TLS is set up once for the process, by a context that is destroyed at once. A context that does it for itself gives
    /// OpenSSL's per-connection index a new number, and handshakes under way in other contexts fail. Virtual hosts that
    /// ask for TLS get it all the same.
    private static let tlsReady: Void = {
        var info = lws_context_creation_info()
        info.port = CONTEXT_PORT_NO_LISTEN
        info.fd_limit_per_thread = 8
        info.options = UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT) | UInt64(LWS_SERVER_OPTION_EXPLICIT_VHOSTS)
        if let context = lws_create_context(&info) { lws_context_destroy(context) }
    }()

    private static func dispatch(
        _ wsi: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?,
        _ bytes: UnsafeMutableRawPointer?, _ length: Int
    ) -> Int32 {
        guard let wsi, let owner = lws_context_user(lws_get_context(wsi)) else { return 0 }
        return Unmanaged<EventLoop>.fromOpaque(owner)._withUnsafeGuaranteedRef { loop in
            if reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED {
                let reasons = WakeReasons(rawValue: loop.wakeReasons.exchange(0, ordering: .acquiring))
                if !reasons.isEmpty { loop.driver.loopWoken(reasons) }
                return 0
            }
            return loop.driver.handle(
                LoopEvent(wsi: wsi, reason: reason, user: user, bytes: bytes, length: length))
        }
    }
}
