/// Lays frames out as they go over the wire: right ones, and those that break the protocol.
enum ServerFrame {
    typealias Opcode = ClientFrameReader.Opcode

    /// One frame.
    static func bytes(
        _ opcode: Opcode, _ payload: ArraySlice<UInt8>, isFinal: Bool = true, isMasked: Bool = false
    ) -> [UInt8] {
        var bytes = [(isFinal ? 0x80 : 0) | opcode.rawValue]
        let mark: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case ..<126:
            bytes.append(mark | UInt8(payload.count))
        case ..<65_536:
            bytes.append(mark | 126)
            withUnsafeBytes(of: UInt16(payload.count).bigEndian) { bytes += $0 }
        default:
            bytes.append(mark | 127)
            withUnsafeBytes(of: UInt64(payload.count).bigEndian) { bytes += $0 }
        }
        guard isMasked else { return bytes + payload }
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    /// A close frame; without a code it is empty.
    static func close(code: UInt16?, reason: String) -> [UInt8] {
        guard let code else { return bytes(.close, []) }
        return bytes(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
    }

    /// A message as a frame of some kind, or cut into fragments at random bytes.
    static func message(
        _ payload: [UInt8], as kind: ScenarioStep.FrameKind, _ fragments: ScenarioStep.Fragments?,
        _ random: inout SeededRandom
    ) -> [UInt8] {
        var payload = payload
        // No UTF-8 text has this byte.
        if kind == .invalidUTF8, !payload.isEmpty { payload[payload.count / 2] = 0xFF }
        let opcode = kind == .binary ? Opcode.binary : .text
        guard let fragments else { return bytes(opcode, payload[...], isMasked: kind == .masked) }
        var cuts: Set<Int> = []
        while cuts.count < min(fragments.count, payload.count) - 1 {
            cuts.insert(1 + Int(random.next(below: Int64(payload.count - 1))))
        }
        let bounds = [0] + cuts.sorted() + [payload.count] + (fragments.hasEmptyEnd ? [payload.count] : [])
        var wire: [UInt8] = []
        for (index, bound) in bounds.dropFirst().enumerated() {
            if index > 0, fragments.hasPings { wire += bytes(.ping, Array("ping".utf8)[...]) }
            wire += bytes(
                index == 0 ? opcode : .continuation, payload[bounds[index]..<bound],
                isFinal: index == bounds.count - 2, isMasked: kind == .masked)
        }
        return wire
    }
}
