/// Resolving the escapes of JSON strings.
extension Span<UInt8> {
    /// A string's text, all escapes resolved; `scanString` has checked their form.
    func text(of string: JSONString) throws(RejectionReason) -> String {
        guard string.hasEscapes else { return self.string(string.content) }
        var text = ""
        var index = string.content.start
        let end = string.content.start + string.content.count
        while index < end {
            let from = index
            while index < end, self[unchecked: index] != UInt8(ascii: "\\") { index += 1 }
            text += self.string(ByteRange(start: from, count: index - from))
            if index < end { text.unicodeScalars.append(try escape(&index)) }
        }
        return text
    }

    private func escape(_ index: inout Int) throws(RejectionReason) -> Unicode.Scalar {
        let kind = peek(index + 1)
        index += 2
        switch kind {
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: return Unicode.Scalar(kind)
        }
        guard let unit = scanHex4(index) else { throw .malformedJSON }
        index += 4
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xDC00, peek(index) == UInt8(ascii: "\\"), peek(index + 1) == UInt8(ascii: "u"),
            let low = scanHex4(index + 2), 0xDC00...0xDFFF ~= low,
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        else { throw .badText }
        index += 6
        return scalar
    }
}
