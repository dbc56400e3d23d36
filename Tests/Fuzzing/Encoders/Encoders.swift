/// Numbers and moments in PostgreSQL's binary format: what `FieldBuffer` writes, read by the format's definition and held
/// against the digits of the input, which are made in schoolbook arithmetic.
///
/// The input is two bytes of the scale, one of flags, and then the magnitude, the lowest byte first.
@c(LLVMFuzzerTestOneInput)
package func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count >= 3, count <= 3 + 8 * 24 else { return -1 }
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    // Mostly scales that numbers have.
    let scale = input[2] & 0x80 == 0 ? Int(input[0]) : Int(input[0]) << 8 | Int(input[1])
    let isNegative = input[2] & 1 != 0
    let magnitude = Array(input[3...])
    let limbs = stride(from: 0, to: magnitude.count, by: 8).map { start in
        magnitude[start..<min(start + 8, magnitude.count)].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    }

    var fields = FieldBuffer(capacity: 1)
    fields.null()
    let wide = refused { () throws(PostgresError) in
        try fields.numeric(magnitude: limbs.span, isNegative: isNegative, scale: scale)
    }
    // As a number of 128 bits, where that holds it; the least of them has no opposite.
    let top = limbs.count > 1 ? limbs[1] : 0
    let fits = limbs.dropFirst(2).allSatisfy { $0 == 0 } && top < 1 << 63
    let coefficient = Int128(truncatingIfNeeded: UInt128(top) << 64 | UInt128(limbs.first ?? 0))
    let narrow = refused { () throws(PostgresError) in
        try fields.numeric(coefficient: isNegative ? 0 &- coefficient : coefficient, scale: scale)
    }
    let microseconds = Int64(bitPattern: limbs.first ?? 0)
    let moment = refused { () throws(PostgresError) in
        try fields.timestamptz(microsecondsSince1970: microseconds)
    }
    fields.int8(0x0102_0304_0506_0708)

    var wire = Wire(rest: fields.bytes[...])
    guard wire.field() == nil else { fatalError("NULL is \(Array(fields.bytes))") }
    guard wide == (scale > 0x3FFF), narrow == wide else { fatalError("scale \(scale): \(wide), \(narrow)") }
    if !wide {
        let expected = Number(magnitude, isNegative: isNegative, scale: scale)
        check(wire.field(), is: expected)
        let other = wire.field()
        if fits { check(other, is: expected) }
    }
    // 2000-01-01, and 24 November of 4714 BC, as Julian days from 1970-01-01.
    let sinceEpoch = Int128(microseconds) - 10_957 * 86_400_000_000
    guard moment == (sinceEpoch < -2_451_545 * 86_400_000_000) else { fatalError("\(microseconds): \(moment)") }
    if !moment, let field = wire.field() {
        let value = field.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        guard field.count == 8, Int64(bitPattern: value) == sinceEpoch else { fatalError("\(microseconds): \(field)") }
    }
    guard wire.field() == [1, 2, 3, 4, 5, 6, 7, 8], wire.rest.isEmpty
    else { fatalError("what comes behind is \(wire.rest)") }
    return 0
}

/// True when a value is refused, as it must be for being out of range.
private func refused(_ body: () throws(PostgresError) -> Void) -> Bool {
    do throws(PostgresError) {
        try body()
        return false
    } catch {
        guard error.isDataError else { fatalError("\(error)") }
        return true
    }
}

private func check(_ field: [UInt8]?, is expected: Number) {
    guard let field, let number = Number(field), number == expected else {
        fatalError("expected \(expected), got \(field ?? [])")
    }
}

/// Fields with their lengths, one after the other.
private struct Wire {
    var rest: Slice<UnsafeRawBufferPointer>

    /// nil for NULL, and behind the last.
    mutating func field() -> [UInt8]? {
        let length = rest.prefix(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        rest = rest.dropFirst(4)
        guard length != .max else { return nil }
        defer { rest = rest.dropFirst(Int(length)) }
        return Array(rest.prefix(Int(length)))
    }
}

/// A number as its decimal digits, the highest first and without zeros before them, and so many of them behind the point.
private struct Number: Equatable {
    var digits: [UInt8] = []
    var isNegative: Bool
    let scale: Int

    /// Base 256 to base 10, byte by byte.
    init(_ magnitude: [UInt8], isNegative: Bool, scale: Int) {
        var lowestFirst: [UInt8] = []
        for byte in magnitude.reversed() {
            var carry = Int(byte)
            for index in lowestFirst.indices {
                carry += Int(lowestFirst[index]) * 256
                lowestFirst[index] = UInt8(carry % 10)
                carry /= 10
            }
            while carry > 0 {
                lowestFirst.append(UInt8(carry % 10))
                carry /= 10
            }
        }
        digits = lowestFirst.reversed()
        self.isNegative = isNegative && !digits.isEmpty
        self.scale = scale
    }

    /// By the format; nil for what the server would refuse or take for another number than it shows.
    init?(_ field: [UInt8]) {
        guard field.count >= 8, field.count % 2 == 0 else { return nil }
        let words = stride(from: 0, to: field.count, by: 2).map { Int(field[$0]) << 8 | Int(field[$0 + 1]) }
        let weight = Int(Int16(truncatingIfNeeded: words[1]))
        let groups = words[4...]
        guard words[0] == groups.count, words[2] == 0 || words[2] == 0x4000, groups.allSatisfy({ $0 < 10_000 }),
            groups.first != 0, groups.last != 0, !groups.isEmpty || (weight == 0 && words[2] == 0)
        else { return nil }
        isNegative = words[2] != 0
        scale = words[3]
        var all = groups.flatMap { [UInt8($0 / 1_000), UInt8($0 / 100 % 10), UInt8($0 / 10 % 10), UInt8($0 % 10)] }
        // Of the digits, 4 · (weight + 1) stand before the point; the rest, or zeros, behind it.
        let behind = all.count - 4 * (weight + 1)
        if behind < scale {
            all += [UInt8](repeating: 0, count: groups.isEmpty ? 0 : scale - behind)
        } else {
            guard all.suffix(behind - scale).allSatisfy({ $0 == 0 }) else { return nil }
            all.removeLast(min(behind - scale, all.count))
        }
        digits = Array(all.drop { $0 == 0 })
    }
}
