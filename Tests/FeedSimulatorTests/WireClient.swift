import Foundation
import TestSupport
import Testing

/// A client on a plain blocking socket, which sees what really comes over the wire. Used from one thread.
final class WireClient {
    /// A frame as it came.
    struct Frame: Equatable {
        var opcode: UInt8
        var isFinal = true
        var isMasked = false
        var payload: [UInt8]

        var text: String { String(decoding: payload, as: UTF8.self) }
        /// What a close frame says.
        var code: Int? { payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil }
    }

    /// How a stream can end.
    enum End: Equatable {
        case endOfStream
        case reset
    }

    private let socket: Int32
    private var received: [UInt8] = []
    private(set) var end: End?

    /// Connects to a `ws://127.0.0.1:port` address. Nothing is waited for longer than what hangs.
    init(_ address: String, receiveBuffer: Int32? = nil) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var receiveBuffer {
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: Int(hangLimit.components.seconds), tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = try #require(address.split(separator: ":").last.flatMap { UInt16($0) }).bigEndian
        target.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(status == 0)
    }

    deinit {
        close()
    }

    private var isClosed = false

    func close() {
        if !isClosed { Glibc.close(socket) }
        isClosed = true
    }

    /// Asks for a WebSocket, with the key of the example in RFC 6455.
    func request(token: String = "x") {
        send(
            "GET /?token=\(token) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    }

    /// The value that belongs to that key, as the RFC says.
    static let acceptance = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// Opens a WebSocket and subscribes.
    func open(_ symbols: String..., token: String = "x") throws {
        request(token: token)
        let head = try #require(try head())
        try #require(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
        #expect(head.contains("Sec-WebSocket-Accept: \(Self.acceptance)\r\n"))
        for symbol in symbols { subscribe(symbol) }
    }

    func subscribe(_ symbol: String) { send(text: "{\"type\":\"subscribe\",\"symbol\":\"\(symbol)\"}") }

    func unsubscribe(_ symbol: String) { send(text: "{\"type\":\"unsubscribe\",\"symbol\":\"\(symbol)\"}") }

    func send(text: String) { send(opcode: 1, Array(text.utf8)) }

    /// Sends a masked frame of less than 126 bytes.
    func send(opcode: UInt8, _ payload: [UInt8]) {
        let mask: [UInt8] = [1, 2, 3, 4]
        send([0x80 | opcode, 0x80 | UInt8(payload.count)] + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] })
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The response's head; nil when the stream ends before one.
    func head() throws -> String? {
        while true {
            if let range = received.firstRange(of: Array("\r\n\r\n".utf8)) {
                defer { received.removeFirst(range.upperBound) }
                return String(decoding: received[..<range.upperBound], as: UTF8.self)
            }
            guard try receive() else { return nil }
        }
    }

    /// The next frame; nil when the stream ends before it is whole.
    func frame() throws -> Frame? {
        while true {
            if let frame = takeFrame() { return frame }
            guard try receive() else { return nil }
        }
    }

    /// All frames to the end of the stream.
    func frames() throws -> [Frame] {
        var frames: [Frame] = []
        while let frame = try frame() { frames.append(frame) }
        return frames
    }

    /// The next message with trades.
    func trades() throws -> String {
        while let frame = try frame() {
            if frame.opcode == 1, frame.text.contains("\"p\":") { return frame.text }
        }
        throw TestFailure("no more trades")
    }

    /// What has come and is no whole frame.
    var rest: [UInt8] { received }

    /// Reads once more; false at the end of the stream.
    @discardableResult
    func receive() throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count > 0 {
            received += buffer[..<count]
            return true
        }
        if count < 0, errno != ECONNRESET { throw TestFailure("nothing comes: \(String(cString: strerror(errno)))") }
        end = count == 0 ? .endOfStream : .reset
        return false
    }

    /// Whether nothing comes for so long.
    func isSilent(for milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) == 0
    }

    /// How many TCP segments with data have come.
    var segments: Int {
        var info = [UInt8](repeating: 0, count: 256)
        var size = socklen_t(info.count)
        getsockopt(socket, Int32(IPPROTO_TCP), TCP_INFO, &info, &size)
        // tcpi_data_segs_in, which glibc's struct does not reach to.
        return Int(info.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 152, as: UInt32.self) })
    }

    private func takeFrame() -> Frame? {
        guard received.count >= 2 else { return nil }
        var position = 2
        var size = Int(received[1] & 0x7F)
        if size >= 126 {
            let width = size == 126 ? 2 : 8
            guard received.count >= 2 + width else { return nil }
            size = received[2..<2 + width].reduce(0) { $0 << 8 | Int($1) }
            position += width
        }
        let isMasked = received[1] & 0x80 != 0
        let mask = received.dropFirst(position).prefix(isMasked ? 4 : 0)
        position += isMasked ? 4 : 0
        guard received.count >= position + size else { return nil }
        var payload = Array(received[position..<position + size])
        if isMasked { for index in payload.indices { payload[index] ^= mask[mask.startIndex + index % 4] } }
        let frame = Frame(
            opcode: received[0] & 0x0F, isFinal: received[0] & 0x80 != 0, isMasked: isMasked, payload: payload)
        received.removeFirst(position + size)
        return frame
    }
}
