import ServiceKit
import TradeModel
import WebSocket

/// Connects clients and their feeds. Loop thread.
///
/// Everything is sent from `writable`, whose frames are handed to the socket's write as soon as it returns: so a client's
/// pace decides how much is made for it, and at any other time whatever stands in the recording has been written.
final class FeedHandler: WebSocketServerHandler {
    private enum Timer: Int {
        case ping, flush, stop
    }

    /// What is sent to a client in one go.
    private static let batchBytes = 64 << 10
    /// What is gathered of the recording before it goes to the file.
    private static let recordingBytes = 256 << 10
    private static let flushInterval = Duration.milliseconds(500)
    /// How long clients may take to answer the close.
    private static let closeTimeout = Duration.milliseconds(500)

    private let options: FeedOptions
    private let logger: Logger
    private let makeClient: () -> FeedClient
    private let pacemaker: Pacemaker
    private let fail: @Sendable (SystemError) -> Void
    private var recording: Recording?
    private var frame = FrameWriter()
    private var connections: [ServerConnection] = []
    private var allowance: Int
    private var isStopping = false

    /// - Parameters:
    ///   - pacemaker: whoever runs it wakes the server at each tick and at the stop.
    ///   - fail: told when the recording cannot be written, which ends the server.
    init(
        _ options: FeedOptions, logger: Logger, pacemaker: Pacemaker, fail: @escaping @Sendable (SystemError) -> Void
    ) throws(SystemError) {
        self.options = options
        self.logger = logger
        self.pacemaker = pacemaker
        self.fail = fail
        makeClient = options.makeClients()
        allowance = options.limit
        if let path = options.recordFile { recording = try Recording(path: path) }
    }

    func started(_ server: WebSocketServer) {
        server.schedule(after: options.pingInterval, token: Timer.ping.rawValue)
        if options.recordFile != nil { server.schedule(after: Self.flushInterval, token: Timer.flush.rawValue) }
    }

    func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse {
        if isStopping { return .refuse(HTTPResponse(status: 503, text: "stopping\n")) }
        guard let token = options.token, request.queryValue("token") != token else { return .accept }
        logger.warning("client refused: no token, or a wrong one")
        return .refuse(HTTPResponse(status: 401, text: "Invalid API key\n"))
    }

    func opened(_ connection: ServerConnection) {
        connection.attachment = makeClient()
        connections.append(connection)
        recording?.begin(at: .now)
        if connections.count == 1 { pacemaker.set(isTicking: true) }
        logger.info("client connected", ["client": connection.identifier, "clients": connections.count])
    }

    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {
        client(connection).receive(bytes.bindMemory(to: UInt8.self).span, at: .now())
    }

    func writable(_ connection: ServerConnection) {
        if recording?.pendingBytes ?? 0 > Self.recordingBytes { flush(connection.server) }
        let client = client(connection)
        let now = Moment.now()
        while connection.queuedBytes < Self.batchBytes {
            guard let trades = client.writeFrame(&frame, at: now, allowance: allowance) else { break }
            guard frame.withBytes({ connection.send($0) }) else { return }
            frame.withBytes { recording?.append($0, connection: connection.identifier, at: now) }
            client.tradesSent += trades
            allowance -= trades
        }
        if client.isDue(at: now, allowance: allowance) { connection.requestWritable() }
    }

    func closed(_ connection: ServerConnection) {
        connections.removeAll { $0 === connection }
        if connections.isEmpty { pacemaker.set(isTicking: false) }
        let client = client(connection)
        logger.info(
            "client disconnected",
            [
                "client": connection.identifier, "clients": connections.count, "trades.sent": client.tradesSent,
                "trades.behind": client.feedDue(at: .now(), allowance: allowance),
            ])
        if isStopping, connections.isEmpty { finish(connection.server) }
    }

    func timer(_ token: Int, _ server: WebSocketServer) {
        switch Timer(rawValue: token)! {
        case .ping:
            for connection in connections { client(connection).ping() }
            server.schedule(after: options.pingInterval, token: token)
        case .flush:
            flush(server)
            server.schedule(after: Self.flushInterval, token: token)
        case .stop:
            finish(server)
        }
    }

    func woken(_ server: WebSocketServer) {
        if pacemaker.isStopped { stop(server) } else { tick() }
    }

    private func stop(_ server: WebSocketServer) {
        guard !isStopping else { return }
        isStopping = true
        if connections.isEmpty { return finish(server) }
        for connection in connections { connection.close(code: 1001, reason: "the server stops") }
        server.schedule(after: Self.closeTimeout, token: Timer.stop.rawValue)
    }

    private func client(_ connection: ServerConnection) -> FeedClient {
        connection.attachment as! FeedClient
    }

    private func tick() {
        let now = Moment.now()
        for connection in connections {
            let client = client(connection)
            if client.isDue(at: now, allowance: allowance) { connection.requestWritable() }
            let due = client.feedDue(at: now, allowance: allowance)
            if due > options.rate, !client.isKnownAsSlow {
                client.isKnownAsSlow = true
                logger.warning(
                    "the client takes less than the rate, so its trades come later",
                    ["client": connection.identifier, "trades.behind": due])
            }
        }
    }

    private func flush(_ server: WebSocketServer) {
        do throws(SystemError) {
            try recording?.flush()
        } catch {
            fail(error)
            server.stop()
        }
    }

    private func finish(_ server: WebSocketServer) {
        flush(server)
        server.stop()
    }
}
