import ServiceKit
import WebSocket

/// The simulator as a service: it listens from its creation on, and serves until it is stopped.
final class FeedServer: Service {
    let name = "feed"
    /// Where clients connect to, such as `ws://127.0.0.1:8765`.
    let address: String
    private let server: WebSocketServer
    private let addressFile: String?
    private let tickInterval: Duration
    private let pacemaker = Pacemaker()
    private let logger: Logger
    private let failure = ConditionLock<SystemError?>(nil)

    /// Listens, and creates the recording.
    /// - Throws: `WebSocketError` when the address cannot be used, `SystemError` when the recording cannot be written.
    init(_ options: FeedOptions, logger: Logger) throws {
        var configuration = WebSocketServerConfiguration()
        configuration.address = options.listen.host
        configuration.port = options.listen.port
        let handler = try FeedHandler(options, logger: logger, pacemaker: pacemaker) { [failure] error in
            failure.withLock { $0 = error }
        }
        server = try WebSocketServer(configuration, handler: handler)
        address = "ws://\(ListenAddress(host: options.listen.host, port: server.port))"
        addressFile = options.addressFile
        tickInterval = options.tickInterval
        self.logger = logger
    }

    /// Serves. A stop closes every connection with code 1001.
    /// - Throws: `SystemError` when the address or the recording cannot be written.
    func run(until shutdown: ShutdownSignal) throws {
        if let addressFile { try writeTextFile(address + "\n", to: addressFile) }
        logger.info("listening", ["address": address])
        ServiceThread.start("pace") { [pacemaker, tickInterval, server] in
            pacemaker.run(every: tickInterval) { server.wake() }
        }
        defer { pacemaker.stop() }
        shutdown.onRequest { [pacemaker, server] in
            pacemaker.stop()
            server.wake()
        }
        server.run()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
