/// Settings of a ``WebSocketServer``.
package struct WebSocketServerConfiguration: Sendable {
    /// The numeric address to listen on.
    package var address = "127.0.0.1"
    /// The port to listen on; 0 takes any free one.
    package var port: UInt16 = 0
    /// How many connections may be open; further ones are refused with HTTP status 503.
    package var maxConnections = 64
    /// The most bytes that may wait to be sent on a connection.
    package var maxQueuedBytes = 4 << 20
    /// The largest message accepted, in bytes; a larger one closes its connection with code 1009.
    package var maxMessageBytes = 1 << 20
    /// The headers that ``UpgradeRequest/headers`` shows.
    package var headers: [String] = []
    /// PEM files of a certificate and its key: with both, the server speaks TLS.
    package var certificateFile: String?
    /// See ``certificateFile``.
    package var privateKeyFile: String?

    /// The default settings: loopback, any free port.
    package init() {}
}
