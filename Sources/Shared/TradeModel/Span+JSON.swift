/// Scanning JSON in place, one pass, without building values (RFC 8259).
///
/// Every method reads at `position` and leaves it behind what it has read. Bytes are checked, also the UTF-8 inside strings,
/// so what a scan accepts may be passed on as valid text. Positions stay inside the span by the checks at each step.
extension Span<UInt8> {
    /// How deep arrays and objects may nest: far more than any feed sends, and too little to exhaust a stack.
    private static var maximumDepth: Int { 64 }

    /// The byte at the position, or 0 at the end: no JSON token is a 0.
    @inline(__always)
    func peek(_ position: Int) -> UInt8 {
        position < count ? self[unchecked: position] : 0
    }

    @inline(__always)
    func skipSpace(_ position: inout Int) {
        while position < count, self[unchecked: position] <= 0x20 {
            switch self[unchecked: position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    /// Reads one expected byte after white space.
    @inline(__always)
    func expect(_ byte: UInt8, _ position: inout Int) throws(RejectionReason) {
        skipSpace(&position)
        guard peek(position) == byte else { throw .malformedJSON }
        position += 1
    }

    /// Steps to an object's next key and over its colon; nil at the closing brace. Starts behind the opening one.
    @inline(__always)
    func scanKey(_ position: inout Int, first: inout Bool) throws(RejectionReason) -> JSONString? {
        skipSpace(&position)
        if peek(position) == UInt8(ascii: "}") {
            position += 1
            return nil
        }
        if first { first = false } else { try expect(UInt8(ascii: ","), &position) }
        skipSpace(&position)
        let key = try scanString(&position)
        try expect(UInt8(ascii: ":"), &position)
        skipSpace(&position)
        return key
    }

    /// Steps to an array's next element; false at the closing bracket. Starts behind the opening one.
    @inline(__always)
    func scanElement(_ position: inout Int, first: inout Bool) throws(RejectionReason) -> Bool {
        skipSpace(&position)
        if peek(position) == UInt8(ascii: "]") {
            position += 1
            return false
        }
        if first { first = false } else { try expect(UInt8(ascii: ","), &position) }
        skipSpace(&position)
        return true
    }

    /// Reads a string, and answers where its content stands.
    @inline(__always)
    func scanString(_ position: inout Int) throws(RejectionReason) -> JSONString {
        guard peek(position) == UInt8(ascii: "\"") else { throw .malformedJSON }
        position += 1
        let start = position
        var hasEscapes = false
        while position < count {
            skipPlain(&position)
            let byte = self[unchecked: position]
            if byte == UInt8(ascii: "\"") {
                let range = ByteRange(start: start, count: position - start)
                position += 1
                return JSONString(content: range, hasEscapes: hasEscapes)
            }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape(&position)
            } else if byte &- 0x20 < 0x60 {
                position += 1
            } else {
                try skipMultibyte(&position)
            }
        }
        throw .malformedJSON
    }

    /// Skips plain ASCII of strings eight bytes at a time, while as many are left.
    @inline(__always)
    private func skipPlain(_ position: inout Int) {
        while position + 8 < count {
            let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self).littleEndian
            let ones: UInt64 = 0x0101_0101_0101_0101
            // The lowest top bit that is set marks the first byte that is a control, a quote, a backslash or beyond ASCII.
            let low = (word &- 0x20 &* ones) | ((word ^ 0x22 &* ones) &- ones) | ((word ^ 0x5C &* ones) &- ones)
            let special = (word | low) & (0x80 &* ones)
            guard special == 0 else {
                position += special.trailingZeroBitCount >> 3
                return
            }
            position += 8
        }
    }

    /// Reads a value that should be a string, and answers where its content stands; nil when it is another one.
    func scanText(_ position: inout Int) throws(RejectionReason) -> ByteRange? {
        if peek(position) == UInt8(ascii: "\"") { return try scanString(&position).content }
        try skipValue(&position)
        return nil
    }

    private func skipEscape(_ position: inout Int) throws(RejectionReason) {
        let kind = peek(position + 1)
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            guard scanHex4(position + 2) != nil else { throw .malformedJSON }
            position += 6
        default: throw .malformedJSON
        }
    }

    /// The four hexadecimal digits at a place as a number.
    func scanHex4(_ position: Int) -> UInt32? {
        var value: UInt32 = 0
        for index in position..<position + 4 {
            let byte = peek(index)
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    /// Reads one character of two to four bytes: no overlong form, no surrogate, nothing above U+10FFFF. A control
    /// character is none.
    private func skipMultibyte(_ position: inout Int) throws(RejectionReason) {
        let lead = self[unchecked: position]
        let second = peek(position + 1)
        let length: Int
        let secondRange: ClosedRange<UInt8>
        switch lead {
        case 0xC2...0xDF: (length, secondRange) = (2, 0x80...0xBF)
        case 0xE0: (length, secondRange) = (3, 0xA0...0xBF)
        case 0xED: (length, secondRange) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, secondRange) = (3, 0x80...0xBF)
        case 0xF0: (length, secondRange) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, secondRange) = (4, 0x80...0xBF)
        case 0xF4: (length, secondRange) = (4, 0x80...0x8F)
        default: throw .malformedJSON
        }
        guard secondRange ~= second else { throw .malformedJSON }
        for index in 2..<Swift.max(length, 2) where peek(position + index) & 0xC0 != 0x80 {
            throw .malformedJSON
        }
        position += length
    }

    /// Reads a number with all its digits.
    ///
    /// `numberOutOfRange` for more digits or places than a `Decimal` holds; the position then stands anywhere in the number.
    @inline(__always)
    func scanNumber(_ position: inout Int) throws(RejectionReason) -> Decimal {
        var index = position
        let isNegative = peek(index) == UInt8(ascii: "-")
        if isNegative { index += 1 }
        let firstDigit = peek(index)
        guard isDigit(firstDigit) else { throw .malformedJSON }

        // 18 digits always fit 64 bits, and nearly every price and volume has fewer.
        var value: UInt64 = 0
        var digits = 0
        var places = 0
        if firstDigit == 0x30 {
            index += 1
            guard !isDigit(peek(index)) else { throw .malformedJSON }
        } else {
            let start = index
            while isDigit(peek(index)) {
                value = value &* 10 &+ UInt64(self[unchecked: index] & 15)
                index += 1
            }
            digits = index - start
        }
        if peek(index) == UInt8(ascii: ".") {
            index += 1
            let start = index
            while isDigit(peek(index)) {
                value = value &* 10 &+ UInt64(self[unchecked: index] & 15)
                index += 1
            }
            places = index - start
            guard places > 0 else { throw .malformedJSON }
            digits += places
        }
        if digits <= 18, peek(index) | 0x20 != UInt8(ascii: "e") {
            position = index
            return Decimal(coefficient: isNegative ? -Int128(value) : Int128(value), scale: UInt8(places))
        }
        return try scanLongNumber(&position, digitsEnd: index, isNegative: isNegative)
    }

    /// The same for numbers with many digits or an exponent. The caller has seen that all is right up to `digitsEnd`.
    private func scanLongNumber(
        _ position: inout Int, digitsEnd: Int, isNegative: Bool
    ) throws(RejectionReason) -> Decimal {
        var index = isNegative ? position + 1 : position
        var coefficient: Int128 = 0
        var scale = 0
        var isFraction = false
        while index < digitsEnd {
            let byte = self[unchecked: index]
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else {
                guard coefficient < Decimal.powerOfTen(Decimal.maximumDigits - 1) else { throw .numberOutOfRange }
                coefficient = coefficient * 10 + Int128(byte & 15)
                if isFraction { scale += 1 }
            }
            index += 1
        }
        if peek(index) | 0x20 == UInt8(ascii: "e") {
            index += 1
            scale -= try scanExponent(&index)
        }
        if scale < 0 {
            // The exponent says zeros in front of the point: they are digits like others.
            guard coefficient == 0 || -scale <= Decimal.maximumDigits else { throw .numberOutOfRange }
            let (shifted, overflow) = coefficient.multipliedReportingOverflow(
                by: coefficient == 0 ? 1 : Decimal.powerOfTen(-scale))
            guard !overflow, shifted < Decimal.powerOfTen(Decimal.maximumDigits) else { throw .numberOutOfRange }
            coefficient = shifted
            scale = 0
        }
        guard scale <= Decimal.maximumScale else { throw .numberOutOfRange }
        position = index
        return Decimal(coefficient: isNegative ? -coefficient : coefficient, scale: UInt8(scale))
    }

    private func scanExponent(_ index: inout Int) throws(RejectionReason) -> Int {
        let isNegative = peek(index) == UInt8(ascii: "-")
        if isNegative || peek(index) == UInt8(ascii: "+") { index += 1 }
        guard isDigit(peek(index)) else { throw .malformedJSON }
        var exponent = 0
        while isDigit(peek(index)) {
            // Held at a bound that is out of range anyway, so that no exponent overflows.
            exponent = Swift.min(exponent * 10 + Int(self[unchecked: index] & 15), 100_000)
            index += 1
        }
        return isNegative ? -exponent : exponent
    }

    @inline(__always)
    private func isDigit(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10
    }

    /// Reads over any value, checking that it is JSON.
    func skipValue(_ position: inout Int, depth: Int = 0) throws(RejectionReason) {
        guard depth < Self.maximumDepth else { throw .malformedJSON }
        skipSpace(&position)
        switch peek(position) {
        case UInt8(ascii: "{"):
            position += 1
            var first = true
            while try scanKey(&position, first: &first) != nil { try skipValue(&position, depth: depth + 1) }
        case UInt8(ascii: "["):
            position += 1
            var first = true
            while try scanElement(&position, first: &first) { try skipValue(&position, depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try scanString(&position)
        case UInt8(ascii: "t"): try skip("true", &position)
        case UInt8(ascii: "f"): try skip("false", &position)
        case UInt8(ascii: "n"): try skip("null", &position)
        default: try skipNumber(&position)
        }
    }

    private func skipNumber(_ position: inout Int) throws(RejectionReason) {
        if peek(position) == UInt8(ascii: "-") { position += 1 }
        if peek(position) == 0x30 { position += 1 } else { try skipDigits(&position) }
        if peek(position) == UInt8(ascii: ".") {
            position += 1
            try skipDigits(&position)
        }
        if peek(position) | 0x20 == UInt8(ascii: "e") {
            position += 1
            if peek(position) == UInt8(ascii: "-") || peek(position) == UInt8(ascii: "+") { position += 1 }
            try skipDigits(&position)
        }
    }

    private func skipDigits(_ position: inout Int) throws(RejectionReason) {
        guard isDigit(peek(position)) else { throw .malformedJSON }
        while isDigit(peek(position)) { position += 1 }
    }

    /// Steps over a constant, which must come next.
    @inline(__always)
    func skip(_ text: StaticString, _ position: inout Int) throws(RejectionReason) {
        let length = text.utf8CodeUnitCount
        guard length <= count - position else { throw .malformedJSON }
        for offset in 0..<length where self[unchecked: position + offset] != text.utf8Start[offset] {
            throw .malformedJSON
        }
        position += length
    }

    /// Whether the bytes of a range are exactly those of a constant.
    @inline(__always)
    func matches(_ range: ByteRange, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where self[unchecked: range.start + offset] != text.utf8Start[offset] {
            return false
        }
        return true
    }

    /// The bytes of a range as a string, for messages.
    func string(_ range: ByteRange) -> String {
        extracting(range.start..<range.start + range.count).withUnsafeBufferPointer {
            String(decoding: $0, as: UTF8.self)
        }
    }
}

/// Where a JSON string's content stands, between its quotes.
struct JSONString {
    var content: ByteRange
    var hasEscapes: Bool
}
