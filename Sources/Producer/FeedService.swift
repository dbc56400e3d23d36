import ServiceKit
import WebSocket

/// Runs the connection to the feed on its thread.
struct FeedService: Service {
    let name = "feed"
    let configuration: WebSocketClientConfiguration
    /// Waits until the trades can be published; false when asked to stop meanwhile.
    let waitForTopic: @Sendable (ShutdownSignal) throws -> Bool
    /// Makes the connection on the thread that it will live on.
    let makeConnection: @Sendable (ShutdownSignal) -> FeedConnection

    func run(until shutdown: ShutdownSignal) throws {
        // First, since the program is not ready before the connection is: that is the connection's to say.
        let connection = makeConnection(shutdown)
        guard try waitForTopic(shutdown) else { return }
        let client = try WebSocketClient(configuration, handler: connection)
        shutdown.onRequest { client.stop() }
        client.run()
    }
}
