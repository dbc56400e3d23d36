import Testing

@testable import TradeModel

@Suite struct JSONScanningTests {
    @Test func `every byte at every place of a string is judged alike, whatever stands around it`() {
        for length in 1...20 {
            for place in 0..<length {
                for byte in UInt8.min...UInt8.max {
                    var content = [UInt8](repeating: UInt8(ascii: "x"), count: length)
                    content[place] = byte
                    let text = [UInt8(ascii: "\"")] + content + Array("\",\"next text\"".utf8)
                    var position = 0
                    let string = try? text.span.scanString(&position)
                    // A backslash goes with the `x` or the quote behind it: only the quote makes an escape.
                    let expected: ByteRange? =
                        switch byte {
                        case UInt8(ascii: "\""): ByteRange(start: 1, count: place)
                        case UInt8(ascii: "\\"): place == length - 1 ? ByteRange(start: 1, count: length + 2) : nil
                        case 0x20...0x7F: ByteRange(start: 1, count: length)
                        default: nil
                        }
                    guard string?.content == expected, string.map({ position == $0.content.count + 2 }) ?? true else {
                        Issue.record(
                            "byte \(byte) at \(place) of \(length): \(String(describing: string)), \(position)")
                        return
                    }
                }
            }
        }
    }

    @Test func `a string's characters of several bytes are read at every place`() throws {
        for character in ["é", "€", "😀", "\\n", "\\u20ac"] {
            for before in 0..<18 {
                for after in 0..<10 {
                    let text =
                        "\"" + String(repeating: "a", count: before) + character + String(repeating: "b", count: after)
                        + "\""
                    let bytes = Array(text.utf8)
                    var position = 0
                    let string = try bytes.span.scanString(&position)
                    #expect(string.content == ByteRange(start: 1, count: bytes.count - 2))
                    #expect(string.hasEscapes == character.hasPrefix("\\"))
                    #expect(position == bytes.count)
                }
            }
        }
    }

    @Test(
        arguments: [
            "null", "true", "false", "0", "-0", "1.5e-7", "12E+05", "\"\"", "[]", "{}", "[1,[2,{}],\"]\"]",
            "{\"a\":{\"}\":[]}}",
        ])
    func `a value is skipped to its end and no further`(value: String) throws {
        for tail in ["", ",", " ", "]", "}"] {
            let bytes = Array((value + tail).utf8)
            var position = 0
            try bytes.span.skipValue(&position)
            #expect(position == value.utf8.count)
        }
    }
}
