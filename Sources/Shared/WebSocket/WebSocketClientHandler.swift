/// What a ``WebSocketClient`` tells its program. All calls come on the loop thread, one at a time.
package protocol WebSocketClientHandler: AnyObject {
    /// The loop runs: the place for the first ``WebSocketClient/connect()`` and the first timers.
    func started(_ client: WebSocketClient)
    /// The upgrade succeeded; messages may be sent.
    func opened(_ client: WebSocketClient)
    /// One complete text message, checked to be UTF-8. The bytes are valid during the call only.
    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient)
    /// The end of a connection or of an attempt: exactly one call for each ``WebSocketClient/connect()`` that took effect.
    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient)
    /// A timer set by ``WebSocketClient/schedule(after:token:)`` is due.
    func timer(_ token: Int, _ client: WebSocketClient)
    /// ``WebSocketClient/wake()`` was called; several calls may come as one.
    func woken(_ client: WebSocketClient)
}

extension WebSocketClientHandler {
    package func timer(_ token: Int, _ client: WebSocketClient) {}
    package func woken(_ client: WebSocketClient) {}
}
