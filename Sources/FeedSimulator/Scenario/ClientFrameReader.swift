/// Takes the frames of a client out of its bytes: RFC 6455, section 5.2.
enum ClientFrameReader {
    enum Opcode: UInt8 {
        case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10
    }

    /// A frame, unmasked.
    struct Frame: Equatable {
        let opcode: Opcode
        let isFinal: Bool
        let payload: [UInt8]
    }

    /// The most bytes that a client's frame may have.
    private static let maxBytes = 1 << 20

    /// Removes the first frame from the bytes; nil while it is not whole.
    /// - Throws: `ConnectionEnd` when it breaks the protocol.
    static func next(from bytes: inout [UInt8]) throws(ConnectionEnd) -> Frame? {
        guard bytes.count >= 2 else { return nil }
        guard let opcode = Opcode(rawValue: bytes[0] & 0x0F), bytes[0] & 0x70 == 0, bytes[1] & 0x80 != 0 else {
            throw ConnectionEnd("the client broke the protocol: its frame is not masked, or of no known kind")
        }
        var position = 2
        var size = Int(bytes[1] & 0x7F)
        if size >= 126 {
            let width = size == 126 ? 2 : 8
            guard bytes.count >= position + width else { return nil }
            size = bytes[position..<position + width].reduce(0) { $0 << 8 & 0xFF_FFFF_FFFF | Int($1) }
            position += width
        }
        guard size <= maxBytes else { throw ConnectionEnd("the client's frame has more than \(maxBytes) bytes") }
        guard bytes.count >= position + 4 + size else { return nil }
        let mask = bytes[position..<position + 4]
        position += 4
        let payload = (0..<size).map { bytes[position + $0] ^ mask[mask.startIndex + $0 % 4] }
        let frame = Frame(opcode: opcode, isFinal: bytes[0] & 0x80 != 0, payload: payload)
        bytes.removeFirst(position + size)
        return frame
    }
}
