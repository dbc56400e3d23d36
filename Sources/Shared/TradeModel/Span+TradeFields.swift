/// Reading the fields that feed and topic share, each with its own rule.
extension Span<UInt8> {
    /// A symbol or a source: a JSON string of 1 to 47 bytes without control characters.
    @inline(__always)
    func scanShortText(_ position: inout Int) throws(RejectionReason) -> ShortText {
        guard peek(position) == UInt8(ascii: "\"") else { throw .wrongType }
        return try shortText(of: scanString(&position))
    }

    /// The same of a string that has been scanned.
    @inline(__always)
    func shortText(of string: JSONString) throws(RejectionReason) -> ShortText {
        let content = string.content
        if string.hasEscapes { return try unescapeShortText(string) }
        guard !content.isEmpty, content.count <= ShortText.capacity else { throw .badText }
        let text = extracting(unchecked: content.start..<content.start + content.count).withUnsafeBytes {
            ShortText(validUTF8: $0)
        }
        guard let text else { throw .badText }
        return text
    }

    private func unescapeShortText(_ string: JSONString) throws(RejectionReason) -> ShortText {
        // Escapes only ever shorten: six bytes make at most three.
        guard string.content.count <= ShortText.capacity * 6 else { throw .badText }
        let text = try text(of: string)
        guard !text.isEmpty, text.unicodeScalars.allSatisfy({ $0.value >= 0x20 }), let short = ShortText(text) else {
            throw .badText
        }
        return short
    }

    /// Any number, with all its digits.
    @inline(__always)
    func scanDecimal(_ position: inout Int) throws(RejectionReason) -> Decimal {
        guard startsNumber(position) else { throw .wrongType }
        return try scanNumber(&position)
    }

    /// A number above zero.
    @inline(__always)
    func scanPrice(_ position: inout Int) throws(RejectionReason) -> Decimal {
        let price = try scanDecimal(&position)
        guard price.coefficient > 0 else { throw .priceNotPositive }
        return price
    }

    /// A number from zero on.
    @inline(__always)
    func scanVolume(_ position: inout Int) throws(RejectionReason) -> Decimal {
        let volume = try scanDecimal(&position)
        guard volume.coefficient >= 0 else { throw .volumeNegative }
        return volume
    }

    /// A trade's time: whole milliseconds since 1970.
    @inline(__always)
    func scanMilliseconds(_ position: inout Int) throws(RejectionReason) -> Timestamp {
        let number = try scanDecimal(&position)
        guard number.scale == 0 else { throw .wrongType }
        guard let milliseconds = Int64(exactly: number.coefficient),
            Timestamp.representableMilliseconds ~= milliseconds
        else { throw .timeOutOfRange }
        return Timestamp(milliseconds: milliseconds)
    }

    /// A whole number from zero to the type's largest.
    @inline(__always)
    func scanCount<Number: FixedWidthInteger>(_ position: inout Int) throws(RejectionReason) -> Number {
        let number = try scanDecimal(&position)
        guard number.scale == 0 else { throw .wrongType }
        guard number.coefficient >= 0, let value = Number(exactly: number.coefficient) else { throw .numberOutOfRange }
        return value
    }

    /// A whole number of at most 18 digits, as `ByteWriter` writes it.
    ///
    /// What it throws of another form means nothing: the ways above find out what is wrong, if anything is.
    @inline(__always)
    func scanWrittenNumber(_ position: inout Int) throws(RejectionReason) -> Int64 {
        let start = position
        var value: UInt64 = 0
        while position < count {
            let digit = self[unchecked: position] &- 0x30
            guard digit < 10 else { break }
            value = value &* 10 &+ UInt64(digit)
            position += 1
        }
        let digits = position - start
        guard 1...18 ~= digits, digits == 1 || self[unchecked: start] != 0x30 else { throw .malformedJSON }
        return Int64(value)
    }

    /// A trade's conditions: an array of strings, or `null`, which is as good as none.
    @inline(__always)
    func scanConditions(_ position: inout Int) throws(RejectionReason) -> ByteRange {
        let start = position
        if peek(position) == UInt8(ascii: "n") {
            try skip("null", &position)
            return .empty
        }
        guard peek(position) == UInt8(ascii: "[") else { throw .wrongType }
        position += 1
        var first = true
        while try scanElement(&position, first: &first) {
            guard peek(position) == UInt8(ascii: "\"") else { throw .wrongType }
            _ = try scanString(&position)
        }
        return ByteRange(start: start, count: position - start)
    }

    /// A moment as an RFC 3339 string, of which places behind the sixth are cut off.
    func scanTimestamp(_ position: inout Int) throws(RejectionReason) -> Timestamp {
        guard peek(position) == UInt8(ascii: "\"") else { throw .wrongType }
        let content = try scanString(&position).content
        guard let time = timestamp(content) else { throw .timeOutOfRange }
        return time
    }

    private func timestamp(_ content: ByteRange) -> Timestamp? {
        let text = extracting(unchecked: content.start..<content.start + content.count)
        guard text.count >= 20, text[unchecked: 4] == UInt8(ascii: "-"), text[unchecked: 7] == UInt8(ascii: "-"),
            text[unchecked: 10] | 0x20 == UInt8(ascii: "t"), text[unchecked: 13] == UInt8(ascii: ":"),
            text[unchecked: 16] == UInt8(ascii: ":"),
            let year = text.digits(0, 4), let month = text.digits(5, 2), let day = text.digits(8, 2),
            let hour = text.digits(11, 2), let minute = text.digits(14, 2), let second = text.digits(17, 2),
            1...12 ~= month, 1...Calendar.daysIn(month: month, of: year) ~= day, hour < 24, minute < 60, second < 60
        else { return nil }
        var index = 19
        var fraction = 0
        if text[index] == UInt8(ascii: ".") {
            index += 1
            var places = 0
            while let digit = text.digits(index, 1) {
                if places < 6 { fraction = fraction * 10 + digit }
                places += 1
                index += 1
            }
            guard places > 0 else { return nil }
            for _ in 0..<Swift.max(0, 6 - places) { fraction *= 10 }
        }
        guard let offsetMinutes = text.zoneOffset(at: index) else { return nil }
        let seconds = Int64(hour * 3600 + (minute - offsetMinutes) * 60 + second)
        let days = Calendar.daysSince1970(year: year, month: month, day: day)
        let time = Timestamp(
            microseconds: days * Calendar.microsecondsPerDay + seconds * 1_000_000 + Int64(fraction))
        return Timestamp.representableMilliseconds ~= time.milliseconds ? time : nil
    }

    /// Minutes east of UTC, when the rest of the text is exactly `Z` or `±hh:mm`.
    @inline(__always)
    private func zoneOffset(at index: Int) -> Int? {
        if count == index + 1, self[index] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard count == index + 6, self[index + 3] == UInt8(ascii: ":"),
            let hours = digits(index + 1, 2), let minutes = digits(index + 4, 2), hours < 24, minutes < 60
        else { return nil }
        switch self[index] {
        case UInt8(ascii: "+"): return hours * 60 + minutes
        case UInt8(ascii: "-"): return -(hours * 60 + minutes)
        default: return nil
        }
    }

    @inline(__always)
    private func digits(_ start: Int, _ length: Int) -> Int? {
        guard start + length <= count else { return nil }
        var value = 0
        for index in start..<start + length {
            let digit = self[unchecked: index] &- 0x30
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }

    @inline(__always)
    private func startsNumber(_ position: Int) -> Bool {
        let byte = peek(position)
        return byte &- 0x30 < 10 || byte == UInt8(ascii: "-")
    }
}
