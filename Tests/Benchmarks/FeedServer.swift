import ServiceKit
import WebSocket

/// A feed that sends a workload as fast as its one client takes it, once all symbols are subscribed to.
final class FeedServer: Sendable {
    private let server: WebSocketServer
    private let begun = ConditionLock<ContinuousClock.Instant?>(nil)

    init(_ workload: Workload) throws {
        server = try WebSocketServer(handler: Handler(workload, begun))
        ServiceThread.start("feed") { [server] in server.run() }
    }

    var url: String { "ws://127.0.0.1:\(server.port)" }

    /// When the first frame was sent; nil when nobody has subscribed within half a minute.
    func waitForBegin() -> ContinuousClock.Instant? {
        begun.wait(for: .seconds(30)) { $0 }
    }

    func stop() { server.stop() }

    private final class Handler: WebSocketServerHandler {
        private let workload: Workload
        private let begun: ConditionLock<ContinuousClock.Instant?>
        private var subscriptions = 0
        private var position = 0

        init(_ workload: Workload, _ begun: ConditionLock<ContinuousClock.Instant?>) {
            self.workload = workload
            self.begun = begun
        }

        func opened(_ connection: ServerConnection) {}

        func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) {
            subscriptions += 1
            guard subscriptions == workload.symbols.count else { return }
            begun.withLock { $0 = .now }
            connection.requestWritable()
        }

        func writable(_ connection: ServerConnection) {
            let end = min(position + (1 << 18), workload.wire.count)
            workload.wire.withUnsafeBytes { bytes in
                _ = connection.send(wire: UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
            }
            position = end
            if position < workload.wire.count { connection.requestWritable() }
        }

        func closed(_ connection: ServerConnection) {}
    }
}
