import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// A thread of its own for a blocking call, and whether it is over.
final class LoopThread: Sendable {
    private let isOver = Mutex(false)

    init(_ body: @escaping @Sendable () -> Void) {
        Thread.detachNewThread { [self] in
            body()
            isOver.withLock { $0 = true }
        }
    }

    func join() async throws {
        try await eventually("the loop's thread ends") { isOver.withLock { $0 } }
    }
}

/// Records what a client hears, and does what a test tells it to, on the loop thread.
final class ClientProbe: WebSocketClientHandler, Sendable {
    enum Event: Sendable, Equatable {
        case opened
        case closed(WebSocketClosure)
        case timer(Int)
        case woken
    }

    private let events = Mutex<[Event]>([])
    private let received = Mutex<[[UInt8]]>([])
    private let jobs = Mutex<[@Sendable (WebSocketClient) -> Void]>([])
    private let onOpened: @Sendable (WebSocketClient) -> Void
    private let onMessage: @Sendable (UnsafeRawBufferPointer, WebSocketClient) -> Void
    private let onClosed: @Sendable (WebSocketClient) -> Void

    init(
        onOpened: @escaping @Sendable (WebSocketClient) -> Void = { _ in },
        onMessage: @escaping @Sendable (UnsafeRawBufferPointer, WebSocketClient) -> Void = { _, _ in },
        onClosed: @escaping @Sendable (WebSocketClient) -> Void = { _ in }
    ) {
        self.onOpened = onOpened
        self.onMessage = onMessage
        self.onClosed = onClosed
    }

    var log: [Event] { events.withLock { $0 } }
    var messages: [[UInt8]] { received.withLock { $0 } }
    var closures: [WebSocketClosure] {
        log.compactMap { if case .closed(let closure) = $0 { closure } else { nil } }
    }

    /// Runs a closure on the loop thread soon.
    func perform(_ client: WebSocketClient, _ job: @escaping @Sendable (WebSocketClient) -> Void) {
        jobs.withLock { $0.append(job) }
        client.wake()
    }

    func started(_ client: WebSocketClient) { client.connect() }

    func opened(_ client: WebSocketClient) {
        events.withLock { $0.append(.opened) }
        onOpened(client)
    }

    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {
        received.withLock { $0.append(Array(bytes)) }
        onMessage(bytes, client)
    }

    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) {
        events.withLock { $0.append(.closed(closure)) }
        onClosed(client)
    }

    func timer(_ token: Int, _ client: WebSocketClient) { events.withLock { $0.append(.timer(token)) } }

    func woken(_ client: WebSocketClient) {
        events.withLock { $0.append(.woken) }
        for job in jobs.withLock({ list in
            defer { list = [] }; return list
        }) { job(client) }
    }
}

/// A server's program made of closures.
final class ServerProbe: WebSocketServerHandler, Sendable {
    private let onUpgrade: @Sendable (UpgradeRequest) -> UpgradeResponse
    private let onOpened: @Sendable (ServerConnection) -> Void
    private let onMessage: @Sendable (UnsafeRawBufferPointer, ServerConnection) -> Void
    private let onWritable: @Sendable (ServerConnection) -> Void
    private let counts = Mutex((opened: 0, closed: 0))

    init(
        onUpgrade: @escaping @Sendable (UpgradeRequest) -> UpgradeResponse = { _ in .accept },
        onOpened: @escaping @Sendable (ServerConnection) -> Void = { _ in },
        onMessage: @escaping @Sendable (UnsafeRawBufferPointer, ServerConnection) -> Void = { _, _ in },
        onWritable: @escaping @Sendable (ServerConnection) -> Void = { _ in }
    ) {
        self.onUpgrade = onUpgrade
        self.onOpened = onOpened
        self.onMessage = onMessage
        self.onWritable = onWritable
    }

    var openedCount: Int { counts.withLock { $0.opened } }
    var closedCount: Int { counts.withLock { $0.closed } }

    func upgrade(_ request: UpgradeRequest, _ server: WebSocketServer) -> UpgradeResponse { onUpgrade(request) }
    func opened(_ connection: ServerConnection) {
        counts.withLock { $0.opened += 1 }
        onOpened(connection)
    }
    func message(_ bytes: UnsafeRawBufferPointer, _ connection: ServerConnection) { onMessage(bytes, connection) }
    func writable(_ connection: ServerConnection) { onWritable(connection) }
    func closed(_ connection: ServerConnection) { counts.withLock { $0.closed += 1 } }
}

/// Runs a server for the length of a body.
func withServer<Result>(
    _ configuration: WebSocketServerConfiguration = .init(), _ probe: ServerProbe = ServerProbe(),
    _ body: (WebSocketServer) async throws -> Result
) async throws -> Result {
    let server = try WebSocketServer(configuration, handler: probe)
    let thread = LoopThread { server.run() }
    do {
        let result = try await body(server)
        server.stop()
        try await thread.join()
        return result
    } catch {
        server.stop()
        try await thread.join()
        throw error
    }
}

/// Runs a client for the length of a body.
func withClient<Result>(
    _ url: String, _ probe: ClientProbe = ClientProbe(),
    configure: (inout WebSocketClientConfiguration) -> Void = { _ in },
    prepare: (WebSocketClient) -> Void = { _ in },
    _ body: (WebSocketClient, ClientProbe) async throws -> Result
) async throws -> Result {
    var configuration = WebSocketClientConfiguration(url: try WebSocketURL(url))
    configure(&configuration)
    let client = try WebSocketClient(configuration, handler: probe)
    prepare(client)
    let thread = LoopThread { client.run() }
    do {
        let result = try await body(client, probe)
        client.stop()
        try await thread.join()
        return result
    } catch {
        client.stop()
        try await thread.join()
        throw error
    }
}

/// How the one attempt to connect to a URL ends, with the check that there is exactly one end, also after the stop.
func closure(
    of url: String, _ probe: ClientProbe = ClientProbe(),
    configure: (inout WebSocketClientConfiguration) -> Void = { _ in },
    prepare: (WebSocketClient) -> Void = { _ in }
) async throws -> WebSocketClosure {
    try await withClient(url, probe, configure: configure, prepare: prepare) { _, probe in
        try await eventually("the attempt ends") { !probe.closures.isEmpty }
    }
    #expect(probe.closures.count == 1)
    return try #require(probe.closures.first)
}

/// The response to one HTTP request sent over a plain socket.
func exchange(_ port: UInt16, _ request: String) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try blockingExchange(port, request) }) }
    }
}

/// A TCP connection over which nothing has been said.
func connectPlainly(to port: UInt16) throws -> Int32 {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = PlainPeer.loopback(port)
    let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(status == 0)
    return socket
}

private func blockingExchange(_ port: UInt16, _ request: String) throws -> String {
    let socket = try connectPlainly(to: port)
    defer { Glibc.close(socket) }
    var limit = timeval(tv_sec: 120, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    PlainPeer.write(socket, request)
    var response: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        response += buffer[..<count]
    }
    return String(decoding: response, as: UTF8.self)
}
