/// How a connection or an attempt to connect ended.
package struct WebSocketClosure: Sendable, Equatable, CustomStringConvertible {
    /// What ended it.
    package enum Cause: Sendable, Equatable {
        /// The server answered the upgrade with an HTTP status other than 101; `retryAfter` when it named seconds, at most a
        /// day.
        case refused(status: Int, retryAfter: Duration?)
        /// The handshake (name, TCP, TLS and upgrade together) did not end in time.
        case handshakeTimedOut(Duration)
        /// The host's name could not be resolved; the text is the resolver's.
        case unresolvable(String)
        /// No address of the host accepted a TCP connection.
        case unreachable(String)
        /// TLS failed; the text names the certificate's fault when that was the reason.
        case tlsFailed(String)
        /// The connection broke, or the answer made no sense, between TCP connect and upgrade.
        case handshakeFailed(String)
        /// The server sent a close frame. 1005 stands for "no code"; codes that libwebsockets does not know (below 1000, 1004
        /// to 1006, 1012 to 2999) arrive as 1002.
        case closedByServer(code: UInt16, reason: String)
        /// ``WebSocketClient/close(code:)`` was called.
        case closedByClient(code: UInt16)
        /// End of stream, reset or a broken frame, without a close frame.
        case connectionLost
        /// A binary frame came; this client takes text only.
        case binaryFrame
        /// A message was not UTF-8.
        case invalidUTF8
        /// A message grew beyond the limit in bytes.
        case messageTooBig(limit: Int)
        /// A frame was announced with more than the limit in bytes.
        case frameTooBig(limit: Int)
        /// A message came in more frames than the limit.
        case tooManyFragments(limit: Int)
        /// Nothing came for this long, not even a ping.
        case idle(Duration)
        /// ``WebSocketClient/stop()`` was called.
        case stopped
    }

    /// What ended it.
    package let cause: Cause
    /// Scheme, host and port of the server.
    package let endpoint: String
    /// Whether the connection had been open: false when an attempt to connect failed.
    package let wasOpen: Bool

    package var description: String { "\(endpoint): \(cause.text)" }
}

extension WebSocketClosure.Cause {
    var text: String {
        switch self {
        case .refused(let status, let retryAfter):
            "the server refused the upgrade with HTTP status \(status)"
                + (retryAfter.map { ", retry after \($0)" } ?? "")
        case .handshakeTimedOut(let limit): "no connection within \(limit)"
        case .unresolvable(let text): "the host's name cannot be resolved: \(text)"
        case .unreachable(let text): "no TCP connection: \(text)"
        case .tlsFailed(let text): "TLS failed: \(text)"
        case .handshakeFailed(let text): "the handshake failed: \(text)"
        case .closedByServer(let code, let reason):
            "the server closed with code \(code)" + (reason.isEmpty ? "" : " (\(reason))")
        case .closedByClient(let code): "closed by this side with code \(code)"
        case .connectionLost: "the connection was lost without a close frame"
        case .binaryFrame: "the server sent a binary frame; only text is accepted"
        case .invalidUTF8: "the server sent a text message that is not UTF-8"
        case .messageTooBig(let limit): "the server sent a message of more than \(limit) bytes"
        case .frameTooBig(let limit): "the server sent a frame of more than \(limit) bytes"
        case .tooManyFragments(let limit): "the server sent a message in more than \(limit) fragments"
        case .idle(let limit): "nothing was received for \(limit)"
        case .stopped: "closed because the client was stopped"
        }
    }
}
