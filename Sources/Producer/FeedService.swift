import ServiceKit
import WebSocket

/// Runs the connection to the feed on its thread.
struct FeedService: Service {
    let name = "feed"
    let configuration: WebSocketClientConfiguration
    /// Makes the connection on the thread that it will live on.
    let makeConnection: @Sendable () throws -> FeedConnection

    /// - Throws: `FeedKeyRefused` when a refused key is to end the program, `WebSocketError` when no client can be set up.
    func run(until shutdown: ShutdownSignal) throws {
        let connection = try makeConnection()
        let failure = connection.failure
        let client = try WebSocketClient(configuration, handler: connection)
        shutdown.onRequest { client.stop() }
        client.run()
        if let failure = failure.withLock({ $0 }) { throw failure }
    }
}
