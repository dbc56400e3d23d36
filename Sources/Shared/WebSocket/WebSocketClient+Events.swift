internal import CLibwebsockets

extension WebSocketClient: EventLoopDriver {
    func loopStarted() { handler.started(self) }

    func loopWoken(_ reasons: WakeReasons) {
        if reasons.contains(.lookup) { takeAddresses() }
        if reasons.contains(.program) { handler.woken(self) }
    }

    func loopTimer(_ token: Int) { handler.timer(token, self) }

    func loopStopped() {
        end(.stopped)
        deliverClosure()
    }

    func handle(_ event: LoopEvent) -> Int32 {
        switch event.reason {
        case LWS_CALLBACK_CLIENT_RECEIVE:
            return received(event)
        case LWS_CALLBACK_CLIENT_WRITEABLE:
            return writable(event.wsi)
        case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
            // `user` is the store and `length` says whether OpenSSL's own checks passed.
            if event.length == 0, let store = OpaquePointer(event.user) {
                certificateFault = CertificateFault.text(X509_STORE_CTX_get_error(store))
            }
            return 0
        default:
            // An event of a connection that is over already says nothing about the present one.
            return event.wsi == wsi ? changed(event) : 0
        }
    }

    /// Events in a connection's life.
    private func changed(_ event: LoopEvent) -> Int32 {
        switch event.reason {
        case LWS_CALLBACK_WSI_CREATE:
            // TCP is connected.
            phase = .handshaking
            nextAttempt.cancel()
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
            phase = .open
            wasOpen = true
            deadline.cancel()
            armIdleCheck()
            handler.opened(self)
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
            noteClose(UnsafeRawBufferPointer(start: event.bytes, count: event.length))
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
            let status = Int(lws_http_client_http_response(event.wsi))
            if status != 0, status != 101 {
                end(.refused(status: status, retryAfter: retryAfter(event.wsi)))
            } else {
                let text = event.bytes.map {
                    String(decoding: UnsafeRawBufferPointer(start: $0, count: event.length), as: UTF8.self)
                }
                failed(text ?? "")
            }
        case LWS_CALLBACK_CLIENT_CLOSED:
            end(.connectionLost)
        case LWS_CALLBACK_CLOSED_CLIENT_HTTP, LWS_CALLBACK_WSI_DESTROY:
            if wasOpen { end(.connectionLost) } else { failed("") }
        default:
            break
        }
        return 0
    }

    private func received(_ event: LoopEvent) -> Int32 {
        guard phase == .open else { return 0 }
        let wsi = event.wsi
        if lws_frame_is_binary(wsi) != 0 {
            return violated(.binaryFrame, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, wsi)
        }
        let chunk = UnsafeRawBufferPointer(start: event.bytes, count: event.length)
        let rest = lws_remaining_packet_payload(wsi)
        switch assembler.take(chunk, frameRest: rest, isFinal: lws_is_final_fragment(wsi) != 0) {
        case .incomplete:
            return 0
        case .messageTooBig:
            return violated(
                .messageTooBig(limit: configuration.maxMessageBytes), LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, wsi)
        case .frameTooBig:
            return violated(.frameTooBig(limit: configuration.maxFrameBytes), LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, wsi)
        case .tooManyFragments:
            return violated(
                .tooManyFragments(limit: configuration.maxFragments), LWS_CLOSE_STATUS_POLICY_VIOLATION, wsi)
        case .message(let bytes):
            guard isUTF8(bytes) else { return violated(.invalidUTF8, LWS_CLOSE_STATUS_INVALID_PAYLOAD, wsi) }
            handler.message(bytes, self)
            return 0
        }
    }

    /// Answers what the protocol or the settings forbid with a close frame.
    private func violated(
        _ cause: WebSocketClosure.Cause, _ code: lws_close_status, _ wsi: OpaquePointer
    ) -> Int32 {
        beginClosing(cause)
        lws_close_reason(wsi, code, nil, 0)
        return -1
    }

    private func writable(_ wsi: OpaquePointer) -> Int32 {
        if !outgoing.isEmpty {
            guard outgoing.writeFirst(to: wsi) else { return -1 }
            lws_callback_on_writable(wsi)
        } else if phase == .closing, case .closedByClient(let code) = cause {
            lws_close_reason(wsi, lws_close_status(rawValue: UInt32(code)), nil, 0)
            return -1
        }
        return 0
    }

    private func noteClose(_ payload: UnsafeRawBufferPointer) {
        guard cause == nil else { return }
        let code = payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : 1005
        cause = .closedByServer(code: code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
        deadline.start(after: Self.closeTimeout)
    }

    /// The seconds that a refusal names; nil also for its form as a date and for more than a day, which nobody can mean.
    private func retryAfter(_ wsi: OpaquePointer) -> Duration? {
        var text = [CChar](repeating: 0, count: 32)
        guard lws_hdr_copy(wsi, &text, Int32(text.count), WSI_TOKEN_HTTP_RETRY_AFTER) > 0 else { return nil }
        let value = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        let seconds = Int(value.prefix { $0 != " " })
        return seconds.flatMap { 0...Self.longestRetryAfter ~= $0 ? .seconds($0) : nil }
    }

    private func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        (try? UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)) != nil
    }
}
