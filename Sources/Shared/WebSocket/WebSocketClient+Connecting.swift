internal import CLibwebsockets

extension WebSocketClient {
    /// Begins to connect; the handler hears `opened` or `closed`, never before this returns.
    ///
    /// Without effect while an attempt or a connection is not over (until `closed`) or the client is stopping. Loop thread.
    package func connect() {
        guard phase == .idle, !loop.isStopping else { return }
        cause = nil
        wasOpen = false
        isPaused = false
        certificateFault = nil
        assembler.reset()
        outgoing.removeAll()
        phase = .resolving
        deadline.start(after: configuration.handshakeTimeout)
        if configuration.usesProxy {
            // The proxy resolves the name.
            addresses = [configuration.url.host]
            nextAttempt.start(after: .zero)
        } else {
            lookup = NameLookup(host: configuration.url.host, resolve) { [loop] in loop?.wake(.lookup) }
        }
    }

    /// Takes up what the look-up brought, once it has.
    func takeAddresses() {
        guard let outcome = lookup?.take() else { return }
        lookup = nil
        switch outcome {
        case .addresses(let found):
            addresses = found[...]
            dial()
        case .failed(let text):
            end(.unresolvable(text))
        }
    }

    /// Begins a TCP connection to the next address, giving one up that has not answered.
    func dial() {
        guard phase == .resolving || phase == .connecting, let address = addresses.popFirst() else { return }
        phase = .connecting
        disconnect()
        if !addresses.isEmpty { nextAttempt.start(after: configuration.handshakeTimeout / 4) }
        let url = configuration.url
        var info = lws_client_connect_info()
        info.context = loop.context
        info.vhost = loop.vhost
        info.port = Int32(url.port)
        info.ietf_version_or_minus_one = -1
        info.retry_and_idle_policy = UnsafePointer(Self.noKeepAlive)
        info.ssl_connection = Int32(LCCSCF_HTTP_NO_FOLLOW_REDIRECT.rawValue)
        if url.isSecure { info.ssl_connection |= Int32(LCCSCF_USE_SSL.rawValue) }
        let dialled = address.withCString { address in
            url.hostHeader.withCString { host in
                url.target.withCString { path in
                    "http/1.1".withCString { alpn in
                        info.address = address
                        info.host = host
                        info.path = path
                        info.alpn = alpn
                        info.pwsi = slot
                        return lws_client_connect_via_info(&info)
                    }
                }
            }
        }
        if dialled == nil { failed("") }
    }

    /// An attempt failed before the upgrade: the next address, or the end.
    func failed(_ text: String) {
        wsi = nil
        if phase == .connecting, !addresses.isEmpty, cause == nil {
            nextAttempt.start(after: .zero)
        } else if let fault = certificateFault {
            end(.tlsFailed(fault))
        } else if phase == .connecting {
            end(.unreachable("refused, filtered or unreachable"))
        } else if text.contains("SSL") || text.contains("SYSCALL") || text.contains("cert") {
            // libwebsockets keeps OpenSSL's reason to itself.
            end(
                .tlsFailed(
                    "the handshake broke off; check that the server speaks TLS on this port (OpenSSL's reason is in the log"
                        + " of libwebsockets, level info)"))
        } else {
            end(.handshakeFailed(text.isEmpty ? "the connection was closed" : text))
        }
    }

    /// Begins an orderly close, whose end is bounded in time.
    func beginClosing(_ cause: WebSocketClosure.Cause) {
        if isPaused {
            // The answer to the close frame must be read.
            isPaused = false
            lws_rx_flow_control(wsi, 1)
        }
        self.cause = cause
        phase = .closing
        deadline.start(after: Self.closeTimeout)
    }

    /// Breaks a connection or an attempt off without a word to the peer. Not from within a callback of the connection.
    func abandon(_ cause: WebSocketClosure.Cause) {
        disconnect()
        end(cause)
    }

    /// Drops the connection at once; what libwebsockets has to say about it is not heard any more.
    private func disconnect() {
        guard let wsi else { return }
        self.wsi = nil
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC)
    }

    /// The one place where every way to end comes together: the first cause counts, later calls do nothing.
    ///
    /// The handler hears of it from the loop, so that it may connect again whatever called this.
    func end(_ cause: WebSocketClosure.Cause) {
        guard phase != .idle, phase != .ended else { return }
        self.cause = self.cause ?? (loop.isStopping ? .stopped : cause)
        phase = .ended
        wsi = nil
        lookup = nil
        addresses = []
        deadline.cancel()
        idleCheck.cancel()
        nextAttempt.cancel()
        delivery.start(after: .zero)
    }

    /// Tells the handler how the connection ended.
    func deliverClosure() {
        guard phase == .ended, let cause else { return }
        phase = .idle
        handler.closed(
            WebSocketClosure(cause: cause, endpoint: configuration.url.description, wasOpen: wasOpen), self)
    }

    /// The handshake or the closing took too long.
    func deadlinePassed() {
        abandon(.handshakeTimedOut(configuration.handshakeTimeout))
    }

    func armIdleCheck() {
        if let limit = configuration.idleTimeout { idleCheck.start(after: limit) }
    }

    /// Gives the connection up when the kernel has received nothing for the limit; otherwise looks again when it could be so.
    func checkIdle() {
        guard phase == .open, !isPaused, let wsi, let limit = configuration.idleTimeout else { return }
        let silence = Duration.milliseconds(max(0, shim_milliseconds_since_receive(lws_get_socket_fd(wsi))))
        if silence >= limit {
            abandon(.idle(limit))
        } else {
            idleCheck.start(after: limit - silence + .milliseconds(1))
        }
    }

    /// No pings and no hang-up by libwebsockets: it counts only pongs as life, this client counts every byte. To be given
    /// with each call that connects, which knows only the context's own policy otherwise.
    private nonisolated(unsafe) static let noKeepAlive: UnsafeMutablePointer<lws_retry_bo_t> = {
        let policy = UnsafeMutablePointer<lws_retry_bo_t>.allocate(capacity: 1)
        policy.initialize(to: lws_retry_bo_t())
        return policy
    }()
}
