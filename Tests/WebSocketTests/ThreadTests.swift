import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

/// The loop thread: what other threads may do to it, and what it costs.
@Suite(.timeLimit(.minutes(10)))
struct ThreadTests {
    @Test func `Stopping from another thread is quick and tells the handler`() async throws {
        let probe = ClientProbe()
        try await withServer { server in
            let client = try WebSocketClient(
                .init(url: WebSocketURL("ws://127.0.0.1:\(server.port)/")), handler: probe)
            let thread = LoopThread { client.run() }
            try await eventually("the connection opens") { probe.log.contains(.opened) }
            let start = ContinuousClock.now
            client.stop()
            try await thread.join()
            #expect(ContinuousClock.now - start < .seconds(60))
            #expect(probe.closures.map(\.cause) == [.stopped])
            client.wake()
            client.stop()
        }
    }

    @Test func `Stopping is quick while a server does not answer the handshake`() async throws {
        let peer = try PlainPeer { PlainPeer.drain($0) }
        defer { peer.stop() }
        var start = ContinuousClock.now
        let probe = ClientProbe()
        try await withClient("ws://127.0.0.1:\(peer.port)/", probe) { _, _ in
            try await eventually("the server is connected") { peer.connectionCount == 1 }
            start = .now
        }
        #expect(ContinuousClock.now - start < .seconds(60))
        #expect(probe.closures.map(\.cause) == [.stopped])
    }

    @Test func `Stopping is quick while a look-up hangs`() async throws {
        let began = Mutex(false)
        let release = Mutex(false)
        defer { release.withLock { $0 = true } }
        var start = ContinuousClock.now
        let probe = ClientProbe()
        try await withClient(
            "ws://slow.example/", probe,
            prepare: { client in
                client.resolve = { _ in
                    began.withLock { $0 = true }
                    while !release.withLock({ $0 }) { usleep(5_000) }
                    return .addresses(["127.0.0.1"])
                }
            }
        ) { _, _ in
            try await eventually("the look-up begins") { began.withLock { $0 } }
            start = .now
        }
        #expect(ContinuousClock.now - start < .seconds(60))
        #expect(probe.closures.map(\.cause) == [.stopped])
    }

    @Test func `A client that never ran can be dropped`() throws {
        _ = try WebSocketClient(.init(url: WebSocketURL("ws://127.0.0.1:1/")), handler: ClientProbe())
        _ = try WebSocketServer(.init(), handler: ServerProbe())
    }

    @Test func `What threads hand over before they wake the loop is taken up; waking a loop that ends is safe`()
        async throws
    {
        let handed = Mutex(0)
        let taken = Mutex(0)
        try await withServer { server in
            let probe = ClientProbe()
            try await withClient("ws://127.0.0.1:\(server.port)/", probe) { client, probe in
                try await eventually("the connection opens") { probe.log.contains(.opened) }
                let threads = (0..<4).map { _ in
                    LoopThread {
                        for _ in 0..<5_000 {
                            handed.withLock { $0 += 1 }
                            probe.perform(client) { _ in taken.withLock { $0 += 1 } }
                        }
                    }
                }
                for thread in threads { try await thread.join() }
                try await eventually("all is taken up") { taken.withLock { $0 } == 20_000 }
                #expect(handed.withLock { $0 } == 20_000)
                // Further threads go on waking while the loop ends.
                for _ in 0..<4 { _ = LoopThread { for _ in 0..<5_000 { client.wake() } } }
            }
            #expect(probe.closures.map(\.cause) == [.stopped])
        }
    }

    @Test(arguments: [false, true])
    func `An open and silent connection costs next to no processor time`(isPaused: Bool) async throws {
        let peer = try PlainPeer.upgrading { socket in
            PlainPeer.write(socket, Wire.frame(Wire.text, "a") + Wire.frame(Wire.text, "b"))
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let probe = ClientProbe(onMessage: { _, client in if isPaused { client.pauseReceiving() } })
        try await withClient("ws://127.0.0.1:\(peer.port)/", probe) { client, probe in
            try await eventually("the first message comes") { !probe.messages.isEmpty }
            let share = try await processorShare(of: client, probe, over: .seconds(3))
            #expect(share < 0.1)
            #expect(probe.closures.isEmpty)
        }
    }
}

/// The share of one processor that a client's loop thread takes.
func processorShare(of client: WebSocketClient, _ probe: ClientProbe, over time: Duration) async throws -> Double {
    func used() async throws -> Double {
        let seconds = Mutex<Double?>(nil)
        probe.perform(client) { _ in
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            seconds.withLock { [time] in $0 = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }
        }
        try await eventually("the loop answers") { seconds.withLock { $0 != nil } }
        return seconds.withLock { $0! }
    }
    let before = try await used()
    let start = ContinuousClock.now
    try await Task.sleep(for: time)
    return try await (used() - before) / ((ContinuousClock.now - start) / .seconds(1))
}
