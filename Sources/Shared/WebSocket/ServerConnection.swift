internal import CLibwebsockets
import Glibc

/// A connection of a ``WebSocketServer``. Loop thread only; from the handler's `closed` on every call is without effect.
package final class ServerConnection {
    /// Numbers the server's connections from 1.
    package let identifier: Int
    /// What the client asked for.
    package let request: UpgradeRequest
    /// The server that accepted the connection.
    package unowned let server: WebSocketServer
    /// Anything that the program keeps with the connection.
    package var attachment: AnyObject?

    private var wsi: OpaquePointer?
    private var assembler: MessageAssembler
    private var queue: FrameQueue
    private var isWritableWanted = false
    private var closeFrame: (code: UInt16, reason: [UInt8])?

    init(_ server: WebSocketServer, _ wsi: OpaquePointer, identifier: Int, _ request: UpgradeRequest) {
        self.server = server
        self.wsi = wsi
        self.identifier = identifier
        self.request = request
        let limit = server.configuration.maxMessageBytes
        assembler = MessageAssembler(.init(messageBytes: limit, frameBytes: limit))
        queue = FrameQueue(limit: server.configuration.maxQueuedBytes)
    }

    /// The bytes that wait to be written, frame headers included.
    package var queuedBytes: Int { queue.count }

    /// Queues a text message as one frame.
    ///
    /// - Returns: false when the connection is closing or the queue is full; nothing is queued then.
    @discardableResult
    package func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard wsi != nil, closeFrame == nil, queue.appendFrame(bytes) else { return false }
        requestWrite()
        return true
    }

    /// Queues a text message as one frame; see ``send(_:)-(UnsafeRawBufferPointer)``.
    @discardableResult
    package func send(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { send(UnsafeRawBufferPointer($0)) }
    }

    /// Queues bytes that go out as they are: fragments, binary, control and broken frames are made this way.
    @discardableResult
    package func send(wire bytes: UnsafeRawBufferPointer) -> Bool {
        guard wsi != nil, closeFrame == nil, queue.append(bytes) else { return false }
        requestWrite()
        return true
    }

    /// Has the handler's `writable` called once, when all that is queued has gone to the socket.
    ///
    /// The path for high rates: send frames there until ``queuedBytes`` passes some 64 KiB, then ask again.
    package func requestWritable() {
        isWritableWanted = true
        requestWrite()
    }

    /// Stops reading from the client.
    package func pauseReceiving() { if let wsi { lws_rx_flow_control(wsi, 0) } }

    /// Reads on after ``pauseReceiving()``.
    package func resumeReceiving() { if let wsi { lws_rx_flow_control(wsi, 1) } }

    /// Closes with a close frame, after what is queued. The reason is cut to 123 bytes.
    package func close(code: UInt16 = 1000, reason: String = "") {
        guard wsi != nil, closeFrame == nil else { return }
        closeFrame = (code, Array(reason.utf8.prefix(123)))
        requestWrite()
    }

    /// Ends the TCP connection without a close frame, at once: with a reset, or with an orderly end of stream.
    package func drop(withReset: Bool = false) {
        guard let wsi else { return }
        let socket = lws_get_socket_fd(wsi)
        if withReset {
            var atOnce = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
        }
        closeFrame = nil
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC)
    }

    func over() {
        wsi = nil
    }

    func received(_ event: LoopEvent) -> Int32 {
        let chunk = UnsafeRawBufferPointer(start: event.bytes, count: event.length)
        let rest = lws_remaining_packet_payload(event.wsi)
        switch assembler.take(chunk, frameRest: rest, isFinal: lws_is_final_fragment(event.wsi) != 0) {
        case .incomplete:
            return 0
        case .message(let bytes):
            server.handler.message(bytes, self)
            return 0
        case .messageTooBig, .frameTooBig, .tooManyFragments:
            lws_close_reason(event.wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, nil, 0)
            return -1
        }
    }

    /// libwebsockets can write: everything that is queued in one go, then the program's next batch, then the close frame.
    func writable() -> Int32 {
        guard let wsi else { return 0 }
        if queue.count == 0, isWritableWanted {
            isWritableWanted = false
            server.handler.writable(self)
        }
        if queue.count > 0 {
            guard queue.write(to: wsi) else { return -1 }
            if isWritableWanted || closeFrame != nil { requestWrite() }
        } else if var closeFrame {
            lws_close_reason(
                wsi, lws_close_status(rawValue: UInt32(closeFrame.code)), &closeFrame.reason, closeFrame.reason.count)
            return -1
        }
        return 0
    }

    private func requestWrite() {
        if let wsi { lws_callback_on_writable(wsi) }
    }
}
