/// Settings of a ``WebSocketClient``.
package struct WebSocketClientConfiguration: Sendable {
    /// Where to connect to.
    package var url: WebSocketURL
    /// The time that name resolution, TCP, TLS and upgrade may take together.
    package var handshakeTimeout: Duration = .seconds(30)
    /// How long the server may be silent, control frames included, before the connection is given up; nil for ever.
    package var idleTimeout: Duration? = .seconds(120)
    /// The largest message accepted, in bytes.
    package var maxMessageBytes = 1 << 20
    /// The largest frame accepted, in bytes; a message may come in several.
    package var maxFrameBytes = 1 << 20
    /// The most frames that a message may come in, empty ones counted.
    package var maxFragments = 4096
    /// The most bytes that may wait to be sent.
    package var maxQueuedBytes = 1 << 20
    /// A PEM file of certificate authorities trusted besides the system's own.
    package var certificateAuthorityFile: String?
    /// Whether to honour the environment's `http_proxy`. The proxy's name is then looked up on the loop thread.
    package var usesProxy = false

    /// The default settings for a server.
    package init(url: WebSocketURL) {
        self.url = url
    }
}
