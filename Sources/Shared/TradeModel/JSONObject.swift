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
