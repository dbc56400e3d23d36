import Foundation
import Synchronization

/// Hands bytes on between clients and a server, until a test has it do otherwise: so TLS connections break in mid-stream.
final class Relay: Sendable {
    enum Mode: Sendable, Equatable {
        case forward
        /// What the server sends goes on a byte at a time, this far apart.
        case drip(microseconds: UInt32)
        /// Nothing goes on, and nothing ends.
        case hold
        /// Both connections end as a process's do that is killed: nothing more of TLS is said.
        case end
        case reset
    }

    private let peer: PlainPeer
    private let mode: Shared

    private final class Shared: Sendable {
        let value: Mutex<Mode>
        init(_ mode: Mode) { value = Mutex(mode) }
    }

    init(to target: UInt16, _ initial: Mode = .forward) throws {
        let mode = Shared(initial)
        self.mode = mode
        peer = try PlainPeer { client in
            guard let server = try? connectPlainly(to: target) else { return }
            defer { close(server) }
            Self.relay(client, server) { mode.value.withLock { $0 } }
        }
    }

    var port: UInt16 { peer.port }

    func set(_ new: Mode) { mode.value.withLock { $0 = new } }

    func stop() {
        set(.end)
        peer.stop()
    }

    private static func relay(_ client: Int32, _ server: Int32, _ mode: () -> Mode) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let current = mode()
            if current == .reset { PlainPeer.resetAtEnd(client) }
            if current == .end || current == .reset { return }
            var polled = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&polled, 2, 5)
            guard current != .hold else {
                usleep(5_000)
                continue
            }
            for (from, to) in [(0, server), (1, client)] where polled[from].revents != 0 {
                let count = recv(polled[from].fd, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                if case .drip(let pause) = current, to == client {
                    for byte in buffer[..<count] {
                        PlainPeer.write(client, [byte])
                        usleep(pause)
                    }
                } else {
                    PlainPeer.write(to, Array(buffer[..<count]))
                }
            }
        }
    }
}
