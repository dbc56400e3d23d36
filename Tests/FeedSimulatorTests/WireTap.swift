import Foundation
import TestSupport
import Testing

/// Stands between one client and a server, and keeps what the server sends.
final class WireTap: Sendable {
    /// Where the client connects to.
    let address: String
    private let worker: Worker<[UInt8]>

    /// - Parameter server: the server's address, `scheme://127.0.0.1:port`.
    init(to server: String) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let port = try Self.withLoopback(0) { address, size in
            try #require(bind(listener, address, size) == 0 && listen(listener, 1) == 0)
            var size = size
            getsockname(listener, address, &size)
        }
        let parts = server.split(separator: ":")
        let serverPort = try #require(parts.last.flatMap { UInt16($0) })
        address = "\(parts[0])://127.0.0.1:\(port)"
        worker = Worker {
            let client = accept(listener, nil, nil)
            close(listener)
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer {
                close(client)
                close(server)
            }
            _ = try Self.withLoopback(serverPort) { address, size in try #require(connect(server, address, size) == 0) }
            return Self.pass(client, server)
        }
    }

    /// All that the server sent, once it has ended its stream.
    func bytes() throws -> [UInt8] { try worker.value() }

    private static func pass(_ client: Int32, _ server: Int32) -> [UInt8] {
        var kept: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var entries = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, 2, Int32(hangLimit.components.seconds) * 1000) > 0 else { return kept }
            for (entry, target) in zip(entries, [server, client]) where entry.revents != 0 {
                let count = recv(entry.fd, &buffer, buffer.count, 0)
                guard count > 0 else { return kept }
                if entry.fd == server { kept += buffer[..<count] }
                _ = send(target, buffer, count, Int32(MSG_NOSIGNAL))
            }
        }
    }

    /// Lends the address of a port on loopback; returns its port as it is afterwards.
    private static func withLoopback(
        _ port: UInt16, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) throws -> Void
    ) rethrows -> UInt16 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        try withUnsafeMutablePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
