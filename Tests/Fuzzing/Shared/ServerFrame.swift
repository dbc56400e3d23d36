/// A frame of a server, read the plain way (RFC 6455): what the module under test is compared with.
struct ServerFrame {
    var opcode: UInt8
    var isFinal: Bool
    var reserved: UInt8
    var isMasked: Bool
    /// How long the header says that the payload is; nil when its highest bit is set, which no length may have.
    var size: Int?
    /// Whether the length stands in bytes of its own, which a control frame may not have.
    var hasLongHeader: Bool
    /// What there is of the payload.
    var payload: ArraySlice<UInt8>

    var isControl: Bool { opcode & 0x8 != 0 }
    var isWhole: Bool { payload.count == size }

    /// Takes the next frame from the front of the bytes; nil when not even its header is there.
    init?(_ bytes: inout ArraySlice<UInt8>) {
        guard bytes.count >= 2 else { return nil }
        let first = bytes.removeFirst()
        let second = bytes.removeFirst()
        opcode = first & 0x0F
        isFinal = first & 0x80 != 0
        reserved = first & 0x70
        isMasked = second & 0x80 != 0
        var size = UInt64(second & 0x7F)
        let extra = size == 127 ? 8 : size == 126 ? 2 : 0
        hasLongHeader = extra > 0
        guard bytes.count >= extra else { return nil }
        if extra > 0 { size = bytes.prefix(extra).reduce(0) { $0 << 8 | UInt64($1) } }
        bytes = bytes.dropFirst(extra)
        self.size = Int(exactly: size)
        payload = bytes.prefix(self.size ?? 0)
        bytes = bytes.dropFirst(payload.count)
    }
}
