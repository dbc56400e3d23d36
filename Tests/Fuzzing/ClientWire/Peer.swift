import Glibc

/// A server that accepts the upgrade, sends what the script says, ends the stream and waits for the client to do so too.
final class Peer: Sendable {
    let port: UInt16
    private let listener: Int32

    init() {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { [listener] in
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) | listen(listener, 8) | getsockname(listener, $0, &size)
            }
        }
        guard status == 0 else { fatalError("no listener") }
        port = UInt16(bigEndian: address.sin_port)
    }

    func serve(_ script: () -> Script) {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { fatalError("no connection") }
            var yes: Int32 = 1
            setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            talk(connection, script())
            shutdown(connection, Int32(SHUT_WR))
            var buffer = [UInt8](repeating: 0, count: 4096)
            while recv(connection, &buffer, buffer.count, 0) > 0 {}
            close(connection)
        }
    }

    private func talk(_ socket: Int32, _ script: Script) {
        var head: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            head += buffer[..<count]
        }
        let name = "sec-websocket-key: "
        let line = String(decoding: head, as: UTF8.self).split(separator: "\r\n").first {
            $0.lowercased().hasPrefix(name)
        }
        let hash = SHA1.base64(of: (line?.dropFirst(name.count) ?? "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        let answer = Array(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(hash)\r\n\r\n"
                .utf8)
        if script.startsWithAnswer {
            write(socket, answer + script.wire)
            return
        }
        write(socket, answer)
        var rest = script.wire[...]
        // So many segments and no more: then all that is left.
        for _ in 0..<64 where script.segment > 0 {
            write(socket, Array(rest.prefix(script.segment)))
            rest = rest.dropFirst(script.segment)
        }
        write(socket, Array(rest))
    }

    private func write(_ socket: Int32, _ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}
