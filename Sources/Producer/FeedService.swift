import ServiceKit
import WebSocket

/// Runs the connection to the feed on its thread.
struct FeedService: Service {
    let name = "feed"
    let configuration: WebSocketClientConfiguration
    /// Makes the connection on the thread that it will live on.
    let makeConnection: @Sendable () throws -> FeedConnection

    func run(until shutdown: ShutdownSignal) throws {
        let client = try WebSocketClient(configuration, handler: try makeConnection())
        shutdown.onRequest { client.stop() }
        client.run()
    }
}
