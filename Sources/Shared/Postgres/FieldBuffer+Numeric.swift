/// NUMERIC in binary: the number of base-10000 digits, the weight of the first (its power of 10000), the sign, the
/// number of decimals shown (dscale), and the digits. Groups of four decimals are aligned at the decimal point, and no
/// zero digit stands at either end.
extension FieldBuffer {
    /// A `numeric` of the value coefficient · 10^−scale, with `scale` decimals.
    ///
    /// - Throws: a data error (22003) for a scale below 0 or above 16383.
    package mutating func numeric(coefficient: Int128, scale: Int) throws(PostgresError) {
        try check(scale)
        let magnitude = coefficient.magnitude
        let (aligned, overflow) = UInt64(truncatingIfNeeded: magnitude)
            .multipliedReportingOverflow(by: Self.powersOfTen(padding(scale)))
        if magnitude <= UInt128(UInt64.max), !overflow {
            short(aligned: aligned, isNegative: coefficient < 0, scale: scale)
        } else {
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2) { limbs in
                limbs[0] = UInt64(truncatingIfNeeded: magnitude)
                limbs[1] = UInt64(truncatingIfNeeded: magnitude >> 64)
                long(limbs: limbs, isNegative: coefficient < 0, scale: scale)
            }
        }
    }

    /// A `numeric` of any size: the magnitude as 64-bit limbs, the lowest first, and the sign apart.
    ///
    /// - Throws: a data error (22003) for a scale below 0 or above 16383, or for more than 1,000 limbs.
    package mutating func numeric(magnitude: Span<UInt64>, isNegative: Bool, scale: Int) throws(PostgresError) {
        try check(scale)
        guard magnitude.count <= 1_000 else {
            throw PostgresError(sqlState: PostgresError.numericOutOfRange, message: "numeric of too many digits")
        }
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: magnitude.count) { limbs in
            for index in magnitude.indices { limbs[index] = magnitude[index] }
            long(limbs: limbs, isNegative: isNegative, scale: scale)
        }
    }

    private func check(_ scale: Int) throws(PostgresError) {
        guard 0...0x3FFF ~= scale else {
            throw PostgresError(
                sqlState: PostgresError.numericOutOfRange, message: "numeric scale out of range: \(scale)")
        }
    }

    /// The zeros behind the last decimal that fill its group of four.
    @inline(__always)
    private func padding(_ scale: Int) -> Int { (4 - scale & 3) & 3 }

    @inline(__always)
    private static func powersOfTen(_ exponent: Int) -> UInt64 {
        switch exponent {
        case 0: 1
        case 1: 10
        case 2: 100
        default: 1000
        }
    }

    @inline(__always)
    private mutating func header(
        _ field: UnsafeMutableRawPointer, digits: Int, weight: Int, isNegative: Bool, scale: Int
    ) {
        func store(_ value: Int, at offset: Int) {
            field.storeBytes(of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset, as: UInt16.self)
        }
        field.storeBytes(of: Int32(8 + 2 * digits).bigEndian, as: Int32.self)
        store(digits, at: 4)
        store(digits == 0 ? 0 : weight, at: 6)
        store(isNegative && digits > 0 ? 0x4000 : 0, at: 8)
        store(scale, at: 10)
    }

    /// The common case: the coefficient, filled up to whole groups of four decimals, fits 64 bits.
    @inline(__always)
    private mutating func short(aligned: UInt64, isNegative: Bool, scale: Int) {
        var value = aligned
        var weight = -((scale + 3) >> 2)
        if value != 0 {
            while value % 10_000 == 0 {
                value /= 10_000
                weight += 1
            }
        }
        let digits =
            value < 100_000_000
            ? (value == 0 ? 0 : value < 10_000 ? 1 : 2)
            : value < 1_000_000_000_000 ? 3 : value < 10_000_000_000_000_000 ? 4 : 5
        let field = reserve(12 + 2 * 5)
        header(field, digits: digits, weight: weight + digits - 1, isNegative: isNegative, scale: scale)
        var offset = 12 + 2 * digits
        while value != 0 {
            offset -= 2
            field.storeBytes(of: UInt16(value % 10_000).bigEndian, toByteOffset: offset, as: UInt16.self)
            value /= 10_000
        }
        advance(payload: 8 + 2 * digits)
    }

    /// Any size. Uses up the limbs: they are divided down to zero, digit by digit.
    private mutating func long(limbs: UnsafeMutableBufferPointer<UInt64>, isNegative: Bool, scale: Int) {
        // 64 bits make at most 4.82 digits; one more for the group that is filled up, three for the last division.
        let most = 5 * limbs.count + 4
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: most) { lowestFirst in
            var count = 0
            var used = limbs.count
            if scale & 3 != 0 {
                // The last group holds fewer than four decimals: filled up with zeros it still fits one digit.
                let rest = Self.divide(limbs, &used, by: Self.powersOfTen(scale & 3))
                lowestFirst[0] = UInt16(rest * Self.powersOfTen(padding(scale)))
                count = 1
            }
            while used > 0 {
                var rest = Self.divide(limbs, &used, by: 10_000_000_000_000_000)
                for _ in 0..<4 {
                    lowestFirst[count] = UInt16(rest % 10_000)
                    rest /= 10_000
                    count += 1
                }
            }
            var first = 0
            while count > 0, lowestFirst[count - 1] == 0 { count -= 1 }
            while first < count, lowestFirst[first] == 0 { first += 1 }
            let digits = count - first
            let field = reserve(12 + 2 * digits)
            header(
                field, digits: digits, weight: count - 1 - ((scale + 3) >> 2), isNegative: isNegative, scale: scale)
            for index in 0..<digits {
                field.storeBytes(
                    of: lowestFirst[count - 1 - index].bigEndian, toByteOffset: 12 + 2 * index, as: UInt16.self)
            }
            advance(payload: 8 + 2 * digits)
        }
    }

    /// Divides the lowest `used` limbs in place, drops leading zero limbs from `used`, and returns the remainder.
    private static func divide(
        _ limbs: UnsafeMutableBufferPointer<UInt64>, _ used: inout Int, by divisor: UInt64
    ) -> UInt64 {
        while used > 0, limbs[used - 1] == 0 { used -= 1 }
        var rest: UInt64 = 0
        for index in stride(from: used - 1, through: 0, by: -1) {
            (limbs[index], rest) = divisor.dividingFullWidth((rest, limbs[index]))
        }
        while used > 0, limbs[used - 1] == 0 { used -= 1 }
        return rest
    }
}
