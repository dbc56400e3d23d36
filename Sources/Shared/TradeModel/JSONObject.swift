/// The strings and numbers of a JSON object, by their keys: for small messages that are not on a hot path.
package struct JSONObject {
    private enum Value {
        case string(String)
        case number(Decimal)
    }

    private var values: [String: Value] = [:]

    /// Reads a whole text as one object; of its values the strings and numbers are kept, the last where a key comes twice.
    package init(_ bytes: Span<UInt8>) throws(RejectionReason) {
        var position = 0
        try bytes.expect(UInt8(ascii: "{"), &position)
        var first = true
        while let key = try bytes.scanKey(&position, first: &first) {
            let name = try bytes.text(of: key)
            switch bytes.peek(position) {
            case UInt8(ascii: "\""):
                let string = try bytes.scanString(&position)
                values[name] = .string(try bytes.text(of: string))
            case UInt8(ascii: "-"), 0x30...0x39:
                values[name] = .number(try bytes.scanNumber(&position))
            default:
                values[name] = nil
                try bytes.skipValue(&position)
            }
        }
        bytes.skipSpace(&position)
        guard position == bytes.count else { throw .malformedJSON }
    }

    /// The string under a key, its escapes resolved; nil when there is none.
    package func string(_ key: String) -> String? {
        if case .string(let text) = values[key] { text } else { nil }
    }

    /// The number under a key, with all its digits; nil when there is none.
    package func number(_ key: String) -> Decimal? {
        if case .number(let number) = values[key] { number } else { nil }
    }
}

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
