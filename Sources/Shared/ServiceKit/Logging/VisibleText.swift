import TradeModel

extension StringProtocol {
    /// The text with all that a terminal may act upon, or that ends a line, written as `\u001b`.
    package var visible: String {
        var text = ""
        for scalar in unicodeScalars {
            if scalar.isControl { text += scalar.escaped } else { text.unicodeScalars.append(scalar) }
        }
        return text
    }
}

extension ByteWriter {
    /// Appends a string as a JSON string with its quotes, and with all that a terminal or a log's reader may act upon
    /// escaped, not only what JSON forbids.
    package mutating func writeVisibly(_ text: String) {
        write("\"")
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" {
                write("\\\(scalar)")
            } else if scalar.isControl {
                write(scalar.escaped)
            } else {
                write(String(scalar))
            }
        }
        write("\"")
    }
}

extension Unicode.Scalar {
    /// Whether it acts on a terminal or ends a line. All of these lie below U+10000.
    var isControl: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    fileprivate var escaped: String {
        let digits = String(value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
