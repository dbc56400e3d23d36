internal import CLibwebsockets

/// A WebSocket server on one thread.
///
/// `run()` blocks the thread that calls it, which becomes the loop thread. `stop()`, `wake()` and `port` may be used from
/// any thread; everything else, connections included, belongs to the loop thread. That rule is what makes the unchecked
/// `Sendable` safe. Pings are answered by libwebsockets.
package final class WebSocketServer: @unchecked Sendable {
    let configuration: WebSocketServerConfiguration
    let handler: any WebSocketServerHandler
    private var loop: EventLoop! = nil
    /// The port that the server listens on.
    package private(set) var port: UInt16 = 0
    /// How many connections are open. Loop thread.
    package private(set) var connectionCount = 0
    private var nextIdentifier = 1

    /// Listens; connections are accepted once ``run()`` is called. The server keeps the handler.
    package init(
        _ configuration: WebSocketServerConfiguration = .init(), handler: sending any WebSocketServerHandler
    ) throws(WebSocketError) {
        self.configuration = configuration
        self.handler = handler
        loop = try .listening(
            at: .init(
                address: configuration.address, port: configuration.port,
                // Some more, so that further ones can be told that they are too many.
                maxConnections: configuration.maxConnections + 8, certificateFile: configuration.certificateFile,
                privateKeyFile: configuration.privateKeyFile), driver: self)
        port = loop.port
    }

    deinit {
        loop?.discard()
    }

    /// Serves connections and timers on the calling thread until ``stop()``. Once for each server.
    package func run() { loop.run() }

    /// Makes ``run()`` return soon, closing all connections. Any thread.
    package func stop() { loop.stop() }

    /// Has the handler's `woken` called on the loop thread. Any thread.
    package func wake() { loop.wake() }

    /// Has the handler's `timer` called after a delay; a timer with the same token is moved. Loop thread.
    package func schedule(after delay: Duration, token: Int) { loop.schedule(after: delay, token: token) }

    /// Stops the timer with a token. Loop thread.
    package func cancel(token: Int) { loop.cancel(token: token) }
}

extension WebSocketServer: EventLoopDriver {
    func loopStarted() { handler.started(self) }
    func loopWoken(_ reasons: WakeReasons) { handler.woken(self) }
    func loopTimer(_ token: Int) { handler.timer(token, self) }
    func loopStopped() {}

    func handle(_ event: LoopEvent) -> Int32 {
        switch event.reason {
        case LWS_CALLBACK_SERVER_WRITEABLE:
            return connection(event)?.writable() ?? 0
        case LWS_CALLBACK_RECEIVE:
            return connection(event)?.received(event) ?? 0
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
            return answerUpgrade(event.wsi)
        case LWS_CALLBACK_HTTP:
            return answerPlain(event.wsi)
        case LWS_CALLBACK_ESTABLISHED:
            let connection = ServerConnection(
                self, event.wsi, identifier: nextIdentifier, UpgradeRequest(event.wsi, headers: configuration.headers))
            lws_set_wsi_user(event.wsi, Unmanaged.passRetained(connection).toOpaque())
            nextIdentifier += 1
            connectionCount += 1
            handler.opened(connection)
        case LWS_CALLBACK_CLOSED:
            guard let owner = event.user else { return 0 }
            lws_set_wsi_user(event.wsi, nil)
            connectionCount -= 1
            let connection = Unmanaged<ServerConnection>.fromOpaque(owner).takeRetainedValue()
            connection.over()
            handler.closed(connection)
        default:
            break
        }
        return 0
    }

    private func connection(_ event: LoopEvent) -> ServerConnection? {
        event.user.map { Unmanaged<ServerConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    private func answerPlain(_ wsi: OpaquePointer) -> Int32 {
        HTTPResponse(status: 426, headers: [("Upgrade", "websocket")], text: "WebSocket only\n").write(to: wsi)
    }

    /// Zero lets libwebsockets go on with the upgrade; its own pointer to the header is not safe to read here.
    private func answerUpgrade(_ wsi: OpaquePointer) -> Int32 {
        guard UpgradeRequest.text(wsi, WSI_TOKEN_UPGRADE)?.lowercased() == "websocket" else { return answerPlain(wsi) }
        guard connectionCount < configuration.maxConnections else {
            return HTTPResponse(status: 503, text: "too many connections\n").write(to: wsi)
        }
        switch handler.upgrade(UpgradeRequest(wsi, headers: configuration.headers), self) {
        case .accept: return 0
        case .refuse(let response): return response.write(to: wsi)
        }
    }
}
