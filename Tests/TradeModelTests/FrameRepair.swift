/// Where the parser and Foundation part on purpose. Mending just that in a frame must make them agree.
///
/// - A lone surrogate in an escape is fine by JSON's grammar: the parser refuses it only where it reads the text.
/// - A number above the range of `Double` is fine too: the parser refuses it only where it reads the number.
/// - A comma behind the last element is none of JSON's grammar, yet Foundation lets it pass.
enum FrameRepair {
    /// The frame with such escapes, numbers and commas replaced, at the same length.
    static func repaired(_ frame: [UInt8]) -> [UInt8] {
        var bytes = frame
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""): repairString(&bytes, &index)
            case UInt8(ascii: ","): repairComma(&bytes, &index)
            case UInt8(ascii: "-"), 0x30...0x39: repairNumber(&bytes, &index)
            default: index += 1
            }
        }
        return bytes
    }

    private static func repairString(_ bytes: inout [UInt8], _ index: inout Int) {
        index += 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            guard let unit = unit(bytes, index), UTF16.isLeadSurrogate(unit) || UTF16.isTrailSurrogate(unit) else {
                index += 2
                continue
            }
            let isPair = UTF16.isLeadSurrogate(unit) && self.unit(bytes, index + 6).map(UTF16.isTrailSurrogate) == true
            if !isPair { bytes.replaceSubrange(index + 2..<index + 6, with: Array("0041".utf8)) }
            index += isPair ? 12 : 6
        }
        index += 1
    }

    /// The code unit of an escape like `\u0041`.
    private static func unit(_ bytes: [UInt8], _ index: Int) -> UInt16? {
        guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        return UInt16(String(decoding: bytes[index + 2..<index + 6], as: UTF8.self), radix: 16)
    }

    private static func repairComma(_ bytes: inout [UInt8], _ index: inout Int) {
        let comma = index
        repeat { index += 1 } while index < bytes.count && [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index])
        let closing = index < bytes.count ? bytes[index] : 0
        if closing == UInt8(ascii: "]") || closing == UInt8(ascii: "}") { bytes[comma] = 0x20 }
    }

    private static func repairNumber(_ bytes: inout [UInt8], _ index: inout Int) {
        let start = index
        while index < bytes.count, Array("+-.eE0123456789".utf8).contains(bytes[index]) { index += 1 }
        guard Double(String(decoding: bytes[start..<index], as: UTF8.self))?.isInfinite == true else { return }
        bytes.replaceSubrange(start..<index, with: [UInt8](repeating: 0x31, count: index - start))
    }
}
