import Foundation
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel
import WebSocket

@testable import FeedSimulator

/// A moment so long after the start of a test's own time.
func moment(_ offset: Duration) -> Moment {
    Moment(instant: testStart + offset, time: Timestamp(milliseconds: 1_787_924_136_086))
}

private let testStart = ContinuousClock.now

func symbol(_ name: String) throws -> ShortText {
    try #require(ShortText(name))
}

/// The trades of a frame, which must hold nothing else.
func trades(_ frame: String) throws -> [Trade] {
    var parser = FeedParser()
    try #require(parser.parse(Array(frame.utf8).span) == .trades, "\(frame)")
    #expect(parser.rejections.isEmpty, "\(frame)")
    return parser.trades
}

/// A thread of its own for a blocking call, and what came of it.
final class ServerThread: Sendable {
    private let outcome = Mutex<Result<Void, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> Void) {
        ServiceThread.start("test") { [self] in
            let result = Result { try body() }
            outcome.withLock { $0 = result }
        }
    }

    func join() async throws {
        try await eventually("the thread ends") { outcome.withLock { $0 } != nil }
        try outcome.withLock { try $0?.get() }
    }
}

/// Gathers a program's log.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var logger: Logger { Logger(label: "feed-simulator", output: { line in self.lines.withLock { $0.append(line) } }) }

    func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
}

/// A running simulator.
struct TestFeed {
    let address: String
    let shutdown: ShutdownSignal
    let log: LogLines
    fileprivate let thread: ServerThread

    /// Stops as SIGTERM does, and waits until it is done.
    func stop() async throws {
        shutdown.request()
        try await thread.join()
    }
}

/// Runs a simulator for the length of a body.
func withFeed(_ options: FeedOptions, _ body: (TestFeed) async throws -> Void) async throws {
    let log = LogLines()
    let server = try FeedServer(options, logger: log.logger)
    try await withServer(server, at: server.address, log, body)
}

/// Runs the server of a scenario for the length of a body.
func withScenario(_ scenario: Scenario, _ options: FeedOptions, _ body: (TestFeed) async throws -> Void) async throws {
    let log = LogLines()
    let server = try ScenarioServer(scenario, options, logger: log.logger)
    try await withServer(server, at: server.address, log, body)
}

private func withServer(
    _ server: any Service, at address: String, _ log: LogLines, _ body: (TestFeed) async throws -> Void
) async throws {
    let shutdown = ShutdownSignal()
    let feed = TestFeed(
        address: address, shutdown: shutdown, log: log, thread: ServerThread { try server.run(until: shutdown) })
    do {
        try await body(feed)
        try await feed.stop()
    } catch {
        try await feed.stop()
        throw error
    }
}

/// A client that subscribes symbols and keeps every frame.
final class FeedProbe: WebSocketClientHandler, Sendable {
    private struct State {
        var frames: [String] = []
        var trades = 0
        var closure: WebSocketClosure?
        var jobs: [@Sendable (WebSocketClient) -> Void] = []
    }

    private let state = Mutex(State())
    private let symbols: [String]
    private let startsPaused: Bool

    init(_ symbols: [String], startsPaused: Bool = false) {
        self.symbols = symbols
        self.startsPaused = startsPaused
    }

    var frames: [String] { state.withLock { $0.frames } }
    var frameCount: Int { state.withLock { $0.frames.count } }
    var closure: WebSocketClosure? { state.withLock { $0.closure } }
    /// The frames with trades.
    var tradeFrames: [String] { frames.filter { $0.contains("\"trade\"") } }
    /// How many trades they hold.
    var tradeCount: Int { state.withLock { $0.trades } }

    /// Runs a closure on the loop thread soon.
    func perform(_ client: WebSocketClient, _ job: @escaping @Sendable (WebSocketClient) -> Void) {
        state.withLock { $0.jobs.append(job) }
        client.wake()
    }

    func started(_ client: WebSocketClient) { client.connect() }

    func opened(_ client: WebSocketClient) {
        for symbol in symbols { #expect(client.send("{\"type\":\"subscribe\",\"symbol\":\"\(symbol)\"}")) }
        if startsPaused { client.pauseReceiving() }
    }

    func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {
        let frame = String(decoding: bytes, as: UTF8.self)
        let trades = frame.split(separator: "\"p\":").count - 1
        state.withLock { state in
            state.frames.append(frame)
            state.trades += trades
        }
    }

    func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) { state.withLock { $0.closure = closure } }

    func woken(_ client: WebSocketClient) {
        let jobs = state.withLock { state in
            defer { state.jobs = [] }
            return state.jobs
        }
        for job in jobs { job(client) }
    }
}

/// Runs a client for the length of a body.
func withClient(
    _ url: String, _ probe: FeedProbe, configure: (inout WebSocketClientConfiguration) -> Void = { _ in },
    _ body: (WebSocketClient) async throws -> Void
) async throws {
    var configuration = try WebSocketClientConfiguration(url: WebSocketURL(url))
    configure(&configuration)
    let client = try WebSocketClient(configuration, handler: probe)
    let thread = ServerThread { client.run() }
    do {
        try await body(client)
        client.stop()
        try await thread.join()
    } catch {
        client.stop()
        try await thread.join()
        throw error
    }
}

/// A directory for the length of a body.
func withDirectory(_ body: (URL) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "feed-simulator-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await body(directory)
}
