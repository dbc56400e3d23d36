import Foundation
import Testing

/// A listening socket whose connections are handled by a script on a thread; for what no WebSocket server would do.
final class PlainPeer: Sendable {
    let port: UInt16
    private let listener: Int32

    /// The script gets each connection's socket, which is closed after it.
    init(_ script: @escaping @Sendable (Int32) -> Void) throws {
        let (listener, port) = try Self.listen()
        self.listener = listener
        self.port = port
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { break }
                script(connection)
                Glibc.close(connection)
            }
            Glibc.close(listener)
        }
    }

    /// Makes the thread end.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    /// A port on which nobody listens.
    static func unusedPort() throws -> UInt16 {
        let (socket, port) = try listen()
        Glibc.close(socket)
        return port
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

    /// The answer that accepts an upgrade, to the head of its request.
    static func acceptance(_ head: String) -> String {
        let key = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
        let value = key.map { $0.dropFirst("sec-websocket-key:".count).drop { $0 == " " } } ?? ""
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(SHA1.base64(of: value + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))\r\n\r\n"
    }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    private static func listen() throws -> (Int32, UInt16) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, size) | Glibc.listen(socket, 8) | getsockname(socket, $0, &size)
            }
        }
        try #require(status == 0)
        return (socket, UInt16(bigEndian: address.sin_port))
    }
}
