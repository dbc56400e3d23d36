import ServiceKit
import Synchronization
import WebSocket

/// Tries whether the feed can be reached: name, TCP, TLS and an answer over HTTP, all in a bounded time.
///
/// The key is not sent, since the feed lets one connection a key live, and a producer may be running. So a refusal for the
/// lack of a key is what is hoped for; whether the key is right, only the producer itself finds out.
final class FeedProbe: WebSocketClientHandler, Sendable {
    private let outcome = Mutex<WebSocketClosure?>(nil)

    private static let timeout = Duration.seconds(15)

    /// Blocks the calling thread, which must not be one of Swift's pool, until the outcome is known.
    /// - Parameters:
    ///   - configuration: the client's, whose URL is replaced.
    ///   - address: the feed's address; its query is left out, since a key might stand there.
    /// - Throws: `FeedUnreachable`, and `WebSocketError` when no client can be set up.
    static func run(_ configuration: WebSocketClientConfiguration, address: String, logger: Logger) throws {
        var configuration = configuration
        configuration.url = try WebSocketURL(String(address.prefix { $0 != "?" && $0 != "#" }))
        configuration.handshakeTimeout = timeout
        let probe = FeedProbe()
        try WebSocketClient(configuration, handler: probe).run()
        guard let closure = probe.outcome.withLock({ $0 }) else { return }
        switch closure.cause {
        case .refused(401, _), .refused(403, _), .refused(429, _), .closedByClient: break
        default: throw FeedUnreachable(closure: closure)
        }
        logger.info("the feed answers; the key is not tried", ["feed": closure.endpoint])
    }

    func started(_ client: WebSocketClient) { client.connect() }

    func opened(_ client: WebSocketClient) { client.close() }

    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {}

    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) {
        outcome.withLock { $0 = closure }
        client.stop()
    }
}

/// The feed cannot be reached, or does not answer as a feed does.
struct FeedUnreachable: Error, CustomStringConvertible {
    let closure: WebSocketClosure

    var description: String {
        let advice =
            if case .tlsFailed = closure.cause {
                "check --feed-url and this machine's clock, and name an authority of your own with --feed-ca-file"
            } else {
                "check --feed-url, and the way from here to there"
            }
        return "the feed does not answer: \(closure); \(advice)"
    }
}
