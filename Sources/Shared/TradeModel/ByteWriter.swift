/// A growing buffer of bytes that texts are written into; it keeps its memory when it is cleared.
///
/// Owned by one thread. Writing allocates only while the buffer still grows to its largest message.
package struct ByteWriter: ~Copyable {
    private var storage: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// How many bytes stand in the buffer.
    package private(set) var count = 0

    package init(capacity: Int = 512) {
        self.capacity = max(capacity, 64)
        storage = .allocate(capacity: self.capacity)
    }

    deinit {
        storage.deallocate()
    }

    /// Forgets the bytes, and keeps the memory.
    package mutating func clear() {
        count = 0
    }

    /// Forgets all bytes from the given count on.
    package mutating func truncate(to newCount: Int) {
        precondition(newCount <= count)
        count = newCount
    }

    /// Lends the bytes for the length of the call.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(start: storage, count: count))
    }

    /// The bytes as a string, for messages and tests.
    package var string: String {
        withBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// Makes room, and answers where the next byte goes; the caller then raises `count`.
    @inline(__always)
    private mutating func reserve(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
        if count + extra > capacity { grow(to: count + extra) }
        return storage + count
    }

    @inline(never)
    private mutating func grow(to needed: Int) {
        let newCapacity = max(needed, capacity * 2)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        larger.update(from: storage, count: count)
        storage.deallocate()
        storage = larger
        capacity = newCapacity
    }
}

extension ByteWriter {
    /// Appends one byte.
    @inline(__always)
    package mutating func write(byte: UInt8) {
        reserve(1).pointee = byte
        count += 1
    }

    /// Appends the bytes as they are.
    @inline(__always)
    package mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        UnsafeMutableRawPointer(reserve(bytes.count)).copyMemory(from: base, byteCount: bytes.count)
        count += bytes.count
    }

    /// Appends a constant.
    @inline(__always)
    package mutating func write(_ text: StaticString) {
        write(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a string's UTF-8 bytes. Disfavored, so that a literal is a constant rather than a `String`.
    @_disfavoredOverload
    package mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a whole number in decimal.
    package mutating func write(_ value: Int64) {
        if value < 0 { write(byte: UInt8(ascii: "-")) }
        writeDigits(value.magnitude)
    }

    /// Appends a decimal in plain notation, with exactly its places.
    package mutating func write(_ number: Decimal) {
        if number.coefficient < 0 { write(byte: UInt8(ascii: "-")) }
        let magnitude = number.coefficient.magnitude
        let scale = Int(number.scale)
        guard scale > 0 else { return writeDigits(magnitude) }
        let power = Decimal.powerOfTen(scale).magnitude
        if let small = UInt64(exactly: magnitude), scale < 20 {
            let (whole, fraction) = small.quotientAndRemainder(dividingBy: UInt64(truncatingIfNeeded: power))
            writeDigits(whole)
            write(byte: UInt8(ascii: "."))
            writePadded(fraction, digits: scale)
        } else {
            let (whole, fraction) = magnitude.quotientAndRemainder(dividingBy: power)
            writeDigits(whole)
            write(byte: UInt8(ascii: "."))
            writePadded(fraction, digits: scale)
        }
    }

    /// Appends a moment as RFC 3339 in UTC with six places: 27 bytes from the year 0 to 9999.
    package mutating func write(_ time: Timestamp) {
        let days = Calendar.floorDivide(time.microseconds, Calendar.microsecondsPerDay)
        let (year, month, day) = Calendar.date(daysSince1970: days)
        let rest = UInt64(time.microseconds - days * Calendar.microsecondsPerDay)
        if year < 0 { write(byte: UInt8(ascii: "-")) }
        writePadded(UInt64(year.magnitude), digits: 4)
        write(byte: UInt8(ascii: "-"))
        writePadded(UInt64(month), digits: 2)
        write(byte: UInt8(ascii: "-"))
        writePadded(UInt64(day), digits: 2)
        write(byte: UInt8(ascii: "T"))
        writePadded(rest / 3_600_000_000, digits: 2)
        write(byte: UInt8(ascii: ":"))
        writePadded(rest / 60_000_000 % 60, digits: 2)
        write(byte: UInt8(ascii: ":"))
        writePadded(rest / 1_000_000 % 60, digits: 2)
        write(byte: UInt8(ascii: "."))
        writePadded(rest % 1_000_000, digits: 6)
        write(byte: UInt8(ascii: "Z"))
    }

    /// Appends a text as a JSON string with its quotes.
    package mutating func writeJSONString(_ text: UnsafeRawBufferPointer) {
        write(byte: UInt8(ascii: "\""))
        var plainFrom = 0
        for index in text.indices where text[index] < 0x20 || text[index] == 0x22 || text[index] == 0x5C {
            write(UnsafeRawBufferPointer(rebasing: text[plainFrom..<index]))
            writeEscaped(text[index])
            plainFrom = index + 1
        }
        write(UnsafeRawBufferPointer(rebasing: text[plainFrom...]))
        write(byte: UInt8(ascii: "\""))
    }

    /// Appends a string as a JSON string with its quotes.
    package mutating func writeJSONString(_ text: String) {
        var text = text
        text.withUTF8 { writeJSONString(UnsafeRawBufferPointer($0)) }
    }

    private mutating func writeEscaped(_ byte: UInt8) {
        if byte == 0x22 || byte == 0x5C {
            write(byte: 0x5C)
            write(byte: byte)
        } else {
            write("\\u00")
            let digits: StaticString = "0123456789abcdef"
            write(byte: digits.utf8Start[Int(byte >> 4)])
            write(byte: digits.utf8Start[Int(byte & 15)])
        }
    }

    private mutating func writeDigits(_ value: UInt64) {
        var digits = 1
        var limit: UInt64 = 10
        while digits < 20, value >= limit {
            digits += 1
            let (next, overflow) = limit.multipliedReportingOverflow(by: 10)
            if overflow { break }
            limit = next
        }
        writePadded(value, digits: digits)
    }

    private mutating func writeDigits(_ value: UInt128) {
        guard let small = UInt64(exactly: value) else {
            let (high, low) = value.quotientAndRemainder(dividingBy: Self.tenTo19)
            writeDigits(high)
            return writePadded(UInt64(low), digits: 19)
        }
        writeDigits(small)
    }

    private static var tenTo19: UInt128 { 10_000_000_000_000_000_000 }

    private mutating func writePadded(_ value: UInt128, digits: Int) {
        guard digits > 19 else { return writePadded(UInt64(value), digits: digits) }
        let (high, low) = value.quotientAndRemainder(dividingBy: Self.tenTo19)
        writePadded(high, digits: digits - 19)
        writePadded(UInt64(low), digits: 19)
    }

    private mutating func writePadded(_ value: UInt64, digits: Int) {
        let target = reserve(digits)
        var rest = value
        var index = digits
        // Two digits a division, since each waits for the one before.
        while index > 1 {
            index -= 2
            let quotient = rest / 100
            let pair = UInt32(truncatingIfNeeded: rest &- quotient &* 100)
            let tens = (pair &* 103) >> 10
            target[index] = UInt8(truncatingIfNeeded: tens) | 0x30
            target[index + 1] = UInt8(truncatingIfNeeded: pair &- tens &* 10) | 0x30
            rest = quotient
        }
        if index == 1 { target[0] = UInt8(truncatingIfNeeded: rest) | 0x30 }
        count += digits
    }
}
