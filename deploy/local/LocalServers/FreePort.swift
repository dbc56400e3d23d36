import Foundation
import Glibc

/// TCP ports on 127.0.0.1 that no one listens on.
package enum FreePort {
    /// Below the range from which Linux takes the ports of outgoing connections, so that none of those snatches one.
    private static let range = 20_000..<32_000

    /// A free port, which stays this process' own until it ends: whoever looks for one meanwhile gets another.
    ///
    /// A socket that is bound and does not listen keeps the port. A server can listen on it all the same when it sets
    /// `SO_REUSEADDR`, as servers do; until then connections are refused.
    package static func find() throws(LocalServerError) -> Int {
        for _ in 0..<1_000 {
            let port = Int.random(in: range)
            guard let socket = openSocket() else { break }
            if bind(socket, to: port) {
                reuseAddress(socket)
                return port
            }
            close(socket)
        }
        throw LocalServerError(.failed, "no free TCP port found from \(range.lowerBound) to \(range.upperBound)")
    }

    /// True when one can listen on this port now.
    package static func isFree(_ port: Int) -> Bool {
        withSocket { socket in
            reuseAddress(socket)
            // Without listening: a child that is being started holds a copy of the descriptor until its exec, and a
            // copy that listened would keep others from the port.
            return bind(socket, to: port)
        }
    }

    /// True when someone accepts connections on this port.
    package static func accepts(_ port: Int) -> Bool {
        withSocket { socket in withAddress(port) { connect(socket, $0, $1) == 0 } }
    }

    private static func openSocket() -> Int32? {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        return socket >= 0 ? socket : nil
    }

    private static func withSocket(_ body: (Int32) -> Bool) -> Bool {
        guard let socket = openSocket() else { return false }
        defer { close(socket) }
        return body(socket)
    }

    private static func reuseAddress(_ socket: Int32) {
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func bind(_ socket: Int32, to port: Int) -> Bool {
        withAddress(port) { Glibc.bind(socket, $0, $1) == 0 }
    }

    private static func withAddress(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
