/// Frames as they go over the wire (RFC 6455), right and wrong ones.
enum Wire {
    static let continuation: UInt8 = 0x0
    static let text: UInt8 = 0x1
    static let binary: UInt8 = 0x2
    static let close: UInt8 = 0x8
    static let ping: UInt8 = 0x9
    static let pong: UInt8 = 0xA

    /// A frame of a client, as its peer reads it.
    struct ClientFrame: Equatable, Sendable {
        var opcode: UInt8
        var isMasked = true
        var payload: [UInt8]
    }

    /// A frame of a server; `reserved` are the three bits behind the final one, as they stand in the first byte.
    static func frame(
        _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0, mask: [UInt8]? = nil
    ) -> [UInt8] {
        let size = payload.count
        let flag: UInt8 = mask == nil ? 0 : 0x80
        var bytes = [(isFinal ? 0x80 : 0) | reserved | opcode]
        switch size {
        case ..<126: bytes.append(flag | UInt8(size))
        case ..<65_536: bytes += [flag | 126, UInt8(size >> 8), UInt8(size & 0xFF)]
        default: bytes += [flag | 127] + (0..<8).map { UInt8(truncatingIfNeeded: size >> (56 - 8 * $0)) }
        }
        guard let mask else { return bytes + payload }
        return bytes + mask + zip(0..., payload).map { $1 ^ mask[$0 & 3] }
    }

    static func frame(_ opcode: UInt8, _ payload: String, isFinal: Bool = true) -> [UInt8] {
        frame(opcode, Array(payload.utf8), isFinal: isFinal)
    }

    /// A close frame's payload.
    static func closing(_ code: UInt16, _ reason: String = "") -> [UInt8] {
        [UInt8(code >> 8), UInt8(code & 0xFF)] + reason.utf8
    }
}
