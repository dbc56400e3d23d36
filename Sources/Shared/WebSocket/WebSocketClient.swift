internal import CLibwebsockets
import Glibc

/// A WebSocket client on one thread: one connection at a time, dialled anew by ``connect()`` as often as the program likes.
///
/// `run()` blocks the thread that calls it, which becomes the loop thread. `stop()` and `wake()` may be called from any
/// thread; everything else, and every call to the handler, happens on the loop thread. That rule is what makes the
/// unchecked `Sendable` safe. The client never reconnects by itself.
package final class WebSocketClient: @unchecked Sendable {
    /// How far a connection has come.
    enum Phase {
        case idle
        case resolving
        case connecting
        case handshaking
        case open
        case closing
        /// Over, but the handler does not know yet.
        case ended
    }

    /// How long a peer has to answer a close frame.
    static let closeTimeout = Duration.seconds(2)
    /// The most seconds that a server's Retry-After is believed.
    static let longestRetryAfter = 86_400
    /// The bytes of headers that an answer to the upgrade may have: refusals by proxies carry many.
    static let maxHeaderBytes: UInt32 = 16 << 10

    let configuration: WebSocketClientConfiguration
    let handler: any WebSocketClientHandler
    private(set) var loop: EventLoop! = nil

    var phase = Phase.idle
    /// The connection, from the call that dials until it is over. The place is a fixed one because libwebsockets fills it
    /// in, and calls back, while the dialling call runs.
    var wsi: OpaquePointer? {
        get { slot.pointee }
        set { slot.pointee = newValue }
    }
    let slot = UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: 1)
    /// What ended the connection, as soon as that is known.
    var cause: WebSocketClosure.Cause?
    var wasOpen = false
    var isPaused = false
    var assembler: MessageAssembler
    var outgoing: ClientQueue
    /// Why the certificate was refused, noted while TLS is set up.
    var certificateFault: String?
    var lookup: NameLookup?
    /// How names are resolved, on a thread of its own.
    var resolve: @Sendable (String) -> NameLookup.Outcome = NameLookup.bySystem
    /// The addresses still to be tried.
    var addresses: ArraySlice<String> = []

    var deadline: LoopTimer! = nil
    var idleCheck: LoopTimer! = nil
    var nextAttempt: LoopTimer! = nil
    var delivery: LoopTimer! = nil

    /// Sets a client up without connecting. The client keeps the handler.
    package init(
        _ configuration: WebSocketClientConfiguration, handler: sending any WebSocketClientHandler
    ) throws(WebSocketError) {
        slot.initialize(to: nil)
        self.configuration = configuration
        self.handler = handler
        assembler = MessageAssembler(
            .init(
                messageBytes: configuration.maxMessageBytes, frameBytes: configuration.maxFrameBytes,
                fragments: configuration.maxFragments))
        outgoing = ClientQueue(limit: configuration.maxQueuedBytes)
        loop = try Self.makeLoop(configuration, driver: self)
        deadline = loop.makeTimer { [unowned self] in deadlinePassed() }
        idleCheck = loop.makeTimer { [unowned self] in checkIdle() }
        nextAttempt = loop.makeTimer { [unowned self] in dial() }
        delivery = loop.makeTimer { [unowned self] in deliverClosure() }
    }

    deinit {
        loop?.discard()
        slot.deallocate()
    }

    /// Serves the connection and the timers on the calling thread until ``stop()``. Once for each client.
    package func run() { loop.run() }

    /// Makes ``run()`` return soon, closing a connection without waiting for the peer. Any thread.
    package func stop() { loop.stop() }

    /// Has the handler's `woken` called on the loop thread. Any thread.
    package func wake() { loop.wake() }

    /// Has the handler's `timer` called after a delay; a timer with the same token is moved. Loop thread.
    package func schedule(after delay: Duration, token: Int) { loop.schedule(after: delay, token: token) }

    /// Stops the timer with a token. Loop thread.
    package func cancel(token: Int) { loop.cancel(token: token) }

    /// Whether messages can be sent. Loop thread.
    package var isOpen: Bool { phase == .open }

    /// Queues a text message.
    ///
    /// - Returns: false when no connection is open or the queue is full; nothing is queued then. Loop thread.
    package func send(_ text: String) -> Bool {
        guard phase == .open, outgoing.append(text) else { return false }
        lws_callback_on_writable(wsi)
        return true
    }

    /// Ends the connection with a close frame, after what is queued; an attempt to connect is broken off. Loop thread.
    package func close(code: UInt16 = 1000) {
        switch phase {
        case .open:
            beginClosing(.closedByClient(code: code))
            lws_callback_on_writable(wsi)
        case .resolving, .connecting, .handshaking:
            abandon(.closedByClient(code: code))
        case .idle, .closing, .ended:
            break
        }
    }

    /// Stops reading: what the server sends waits in the kernel's buffers, and then at the server. Loop thread.
    ///
    /// Not one message more is delivered until ``resumeReceiving()``, also of those that came in the same segment, and a
    /// server's close frame or end of stream is heard only then, behind the messages. A reset ends the connection at once
    /// and takes with it what was not delivered. Pings are not answered and the idle time stands still; sending goes on.
    package func pauseReceiving() {
        guard phase == .open, !isPaused else { return }
        isPaused = true
        lws_rx_flow_control(wsi, 0)
    }

    /// Reads on after ``pauseReceiving()``; the idle time begins anew. Loop thread.
    package func resumeReceiving() {
        guard phase == .open, isPaused else { return }
        isPaused = false
        lws_rx_flow_control(wsi, 1)
        armIdleCheck()
    }

    private static func makeLoop(
        _ configuration: WebSocketClientConfiguration, driver: any EventLoopDriver
    ) throws(WebSocketError) -> EventLoop {
        if let file = configuration.certificateAuthorityFile, access(file, R_OK) != 0 {
            throw WebSocketError(
                code: .setupFailed,
                message: "the certificate authority file \(file) cannot be read: \(String(cString: strerror(errno)))")
        }
        return try EventLoop(driver: driver) { info, loop in
            info.port = CONTEXT_PORT_NO_LISTEN
            info.fd_limit_per_thread = 8
            info.max_http_header_data2 = Self.maxHeaderBytes
            // The deadline is this client's own: lws' limits for each step must not come before it.
            let seconds = UInt32(clamping: configuration.handshakeTimeout.components.seconds + 2)
            info.timeout_secs = seconds
            info.connect_timeout_secs = seconds
            // An address without a port: the only way to have the environment's http_proxy ignored.
            if !configuration.usesProxy { info.http_proxy_address = loop.keep(":0") }
            if configuration.url.isSecure {
                info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
                info.client_ssl_ca_filepath = configuration.certificateAuthorityFile.map(loop.keep)
            }
        }
    }
}
