import ServiceKit
import WebSocket

/// Runs the connection to the feed on its thread.
struct FeedService: Service {
    let name = "feed"
    let configuration: WebSocketClientConfiguration
    let logger: Logger
    /// Makes the connection on the thread that it will live on.
    let makeConnection: @Sendable () -> FeedConnection

    init(
        configuration: WebSocketClientConfiguration, logger: Logger,
        makeConnection: @escaping @Sendable () -> FeedConnection
    ) {
        self.configuration = configuration
        self.logger = logger
        self.makeConnection = makeConnection
    }

    func run(until shutdown: ShutdownSignal) throws {
        let client = try WebSocketClient(configuration, handler: makeConnection())
        shutdown.onRequest { client.stop() }
        client.run()
    }
}
