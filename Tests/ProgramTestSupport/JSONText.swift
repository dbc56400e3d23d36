import Foundation
import TestSupport

/// A JSON value that keeps its source text, so that numbers stay digit for digit what was sent.
///
/// Deliberately shares nothing with the parsers under test.
package enum JSONText {
    case object([String: JSONText])
    case array([JSONText], text: String)
    case string(String)
    /// A number, `true`, `false` or `null`, as written.
    case word(String)

    /// Reads a whole text.
    package init(_ bytes: some Sequence<UInt8>) throws {
        var scanner = JSONScanner(bytes: Array(bytes))
        self = try scanner.value()
        guard scanner.isAtEnd else { throw TestFailure("there is more behind the JSON value") }
    }

    package subscript(key: String) -> JSONText? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    package var elements: [JSONText]? {
        guard case .array(let elements, _) = self else { return nil }
        return elements
    }

    package var string: String? {
        guard case .string(let string) = self else { return nil }
        return string
    }

    /// A number's digits; nil for anything else.
    package var number: String? {
        guard case .word(let text) = self, text.utf8.contains(where: { (0x30...0x39).contains($0) }) else { return nil }
        return text
    }

    /// The text of an array; nil for anything else.
    package var arrayText: String? {
        guard case .array(_, let text) = self else { return nil }
        return text
    }
}

private struct JSONScanner {
    let bytes: [UInt8]
    var position = 0

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return position == bytes.count
        }
    }

    mutating func value() throws -> JSONText {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"):
            var members: [String: JSONText] = [:]
            try list(until: UInt8(ascii: "}")) { scanner in
                scanner.skipSpace()
                let key = try scanner.string()
                scanner.skipSpace()
                guard scanner.take(UInt8(ascii: ":")) else { throw scanner.failure("a colon") }
                members[key] = try scanner.value()
            }
            return .object(members)
        case UInt8(ascii: "["):
            let start = position
            var elements: [JSONText] = []
            try list(until: UInt8(ascii: "]")) { elements.append(try $0.value()) }
            return .array(elements, text: String(decoding: bytes[start..<position], as: UTF8.self))
        case UInt8(ascii: "\""):
            return .string(try string())
        default:
            let start = position
            while let byte = peek, !Self.ends.contains(byte) { position += 1 }
            guard position > start else { throw failure("a value") }
            return .word(String(decoding: bytes[start..<position], as: UTF8.self))
        }
    }

    private static let ends: [UInt8] = Array(",]} \t\r\n".utf8)

    private mutating func list(until end: UInt8, _ element: (inout JSONScanner) throws -> Void) throws {
        position += 1
        skipSpace()
        if take(end) { return }
        while true {
            try element(&self)
            skipSpace()
            if take(end) { return }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma") }
        }
    }

    private mutating func string() throws -> String {
        let start = position
        guard take(UInt8(ascii: "\"")) else { throw failure("a string") }
        var isEscaped = false
        while let byte = peek, byte != UInt8(ascii: "\"") {
            isEscaped = isEscaped || byte == UInt8(ascii: "\\")
            position += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        guard take(UInt8(ascii: "\"")) else { throw failure("the end of a string") }
        guard isEscaped else { return String(decoding: bytes[start + 1..<position - 1], as: UTF8.self) }
        let text = try JSONSerialization.jsonObject(with: Data(bytes[start..<position]), options: .fragmentsAllowed)
        return text as? String ?? ""
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || (0x09...0x0d).contains(byte) { position += 1 }
    }

    private func failure(_ expected: String) -> TestFailure {
        TestFailure("expected \(expected) at byte \(position) of \(String(decoding: bytes.prefix(300), as: UTF8.self))")
    }
}
