/// Why a client or a server could not be set up. What happens to a connection later is a ``WebSocketClosure``.
package struct WebSocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong, as a program tells it apart.
    package enum Code: Sendable, Equatable {
        /// The URL cannot be used.
        case invalidURL
        /// The address to listen on is taken or may not be used.
        case cannotListen
        /// libwebsockets refused to set up (memory, file descriptors, a certificate file that cannot be read).
        case setupFailed
    }

    /// What went wrong, as a program tells it apart.
    package let code: Code
    /// What, where and what to do, free of secrets.
    package let message: String

    /// Whether the same call can succeed later without a change of configuration: an address in use may come free.
    package var isRetriable: Bool { code == .cannotListen }
    /// Whether the program cannot do its work without a change of configuration.
    package var isFatal: Bool { !isRetriable }

    package var description: String { message }
}
