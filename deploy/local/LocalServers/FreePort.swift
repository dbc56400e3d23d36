import Foundation
import Glibc
import Synchronization

/// TCP ports on 127.0.0.1 that no one listens on.
package enum FreePort {
    /// Below the range from which Linux takes the ports of outgoing connections, so that none of those snatches one.
    private static let range = 20_000..<32_000
    private static let given = Mutex<Set<Int>>([])

    /// A free port; never the same twice in one process. Another process may still take it before you do.
    package static func find() throws(LocalServerError) -> Int {
        for _ in 0..<1_000 {
            let port = Int.random(in: range)
            if isFree(port) && given.withLock({ $0.insert(port).inserted }) { return port }
        }
        throw LocalServerError(.failed, "no free TCP port found from \(range.lowerBound) to \(range.upperBound)")
    }

    /// True when one can listen on this port now.
    package static func isFree(_ port: Int) -> Bool {
        withSocket(port) { socket, address, size in
            var yes: Int32 = 1
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
            // Without listening: a child that is being started holds a copy of the descriptor until its exec, and a
            // copy that listened would keep others from the port.
            return bind(socket, address, size) == 0
        }
    }

    /// True when someone accepts connections on this port.
    package static func accepts(_ port: Int) -> Bool {
        withSocket(port) { socket, address, size in connect(socket, address, size) == 0 }
    }

    private static func withSocket(_ port: Int, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
