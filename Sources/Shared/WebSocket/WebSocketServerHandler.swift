/// What a server answers to a request to open a WebSocket.
package enum UpgradeResponse: Sendable {
    /// The connection is opened.
    case accept
    /// The request is answered with an HTTP response, for instance 401, or 429 with a Retry-After header.
    case refuse(HTTPResponse)
}

/// What a ``WebSocketServer`` asks and tells its program. All calls come on the loop thread, one at a time.
package protocol WebSocketServerHandler: AnyObject {
    /// The loop runs: the place for the first timers.
    func started(_ server: WebSocketServer)
    /// A client asks for a connection.
    func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse
    /// A connection is open.
    func opened(_ connection: ServerConnection)
    /// One complete message, text or binary, unchecked. The bytes are valid during the call only.
    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection)
    /// The socket takes more, as asked for with ``ServerConnection/requestWritable()``: the place to send a batch of frames.
    func writable(_ connection: ServerConnection)
    /// A connection is over. It must not be used any more.
    func closed(_ connection: ServerConnection)
    /// A timer set by ``WebSocketServer/schedule(after:token:)`` is due.
    func timer(_ token: Int, _ server: WebSocketServer)
    /// ``WebSocketServer/wake()`` was called; several calls may come as one.
    func woken(_ server: WebSocketServer)
}

extension WebSocketServerHandler {
    package func started(_ server: WebSocketServer) {}
    package func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse { .accept }
    package func writable(_ connection: ServerConnection) {}
    package func timer(_ token: Int, _ server: WebSocketServer) {}
    package func woken(_ server: WebSocketServer) {}
}
