import Foundation
import Synchronization
import TestSupport
import Testing

/// A listening socket whose connections are handled by a script on a thread; for what no WebSocket server would do.
final class PlainPeer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let accepted = Atomic(0)

    /// The script gets each connection's socket, which is closed after it. One connection after the other.
    init(_ script: @escaping @Sendable (Int32) -> Void) throws {
        let (listener, port) = try Self.listen()
        self.listener = listener
        self.port = port
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { break }
                self.accepted.add(1, ordering: .relaxed)
                var yes: Int32 = 1
                setsockopt(
                    connection, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
                script(connection)
                Glibc.close(connection)
            }
            Glibc.close(listener)
        }
    }

    /// A peer that accepts the upgrade before the script goes on.
    static func upgrading(_ script: @escaping @Sendable (Int32) -> Void) throws -> PlainPeer {
        try PlainPeer { socket in
            write(socket, acceptance(readHead(socket)))
            script(socket)
        }
    }

    /// How many connections there have been.
    var connectionCount: Int { accepted.load(ordering: .relaxed) }

    /// Makes the thread end.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    /// Has the socket's end be a reset instead of an orderly end of stream.
    static func resetAtEnd(_ socket: Int32) {
        var atOnce = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
    }

    /// Reads until the peer closes.
    static func drain(_ socket: Int32) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while recv(socket, &buffer, buffer.count, 0) > 0 {}
    }

    /// Reads a request's head.
    static func readHead(_ socket: Int32) -> String {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), recv(socket, &byte, 1, 0) == 1 { head.append(byte) }
        return String(decoding: head, as: UTF8.self)
    }

    static func write(_ socket: Int32, _ text: String) { write(socket, Array(text.utf8)) }

    static func write(_ socket: Int32, _ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The answer that accepts an upgrade, to the head of its request, with further header lines.
    static func acceptance(_ head: String, headers: String = "") -> String {
        let key = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
        let value = key.map { $0.dropFirst("sec-websocket-key:".count).drop { $0 == " " } } ?? ""
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(SHA1.base64(of: value + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))\r\n\(headers)\r\n"
    }

    static func loopback(_ port: UInt16, _ name: String = "127.0.0.1") -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr(name)
        return address
    }

    /// The next frame of a client, unmasked; nil at the end of the stream.
    static func readFrame(_ socket: Int32) -> Wire.ClientFrame? {
        func read(_ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            var done = 0
            while done < count {
                let size = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + done, count - done, 0) }
                guard size > 0 else { return nil }
                done += size
            }
            return bytes
        }
        guard let head = read(2) else { return nil }
        let isMasked = head[1] & 0x80 != 0
        guard let size = read([126: 2, 127: 8][head[1] & 0x7F] ?? 0), let mask = read(isMasked ? 4 : 0) else {
            return nil
        }
        let count = size.isEmpty ? Int(head[1] & 0x7F) : size.reduce(0) { $0 << 8 | Int($1) }
        guard let payload = read(count) else { return nil }
        return .init(
            opcode: head[0] & 0x0F, isMasked: isMasked,
            payload: isMasked ? zip(0..., payload).map { $1 ^ mask[$0 & 3] } : payload)
    }

    /// A listening socket of loopback whose queue is full, so that no further connection comes about. To be closed, both.
    static func unanswering(_ address: String = "127.0.0.1", port: UInt16 = 0) throws -> (
        sockets: [Int32], port: UInt16
    ) {
        let (listener, port) = try listen(address, port, backlog: 0)
        var sockets = [listener]
        while sockets.count < 16 {
            let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            sockets.append(socket)
            var target = loopback(port, address)
            _ = withUnsafePointer(to: &target) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            var poller = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
            if poll(&poller, 1, 200) == 0 { return (sockets, port) }
        }
        throw TestFailure("a queue of no places takes \(sockets.count) connections")
    }

    private static func listen(
        _ name: String = "127.0.0.1", _ port: UInt16 = 0, backlog: Int32 = 8
    ) throws -> (Int32, UInt16) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port, name)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, size) | Glibc.listen(socket, backlog) | getsockname(socket, $0, &size)
            }
        }
        try #require(status == 0)
        return (socket, UInt16(bigEndian: address.sin_port))
    }
}
