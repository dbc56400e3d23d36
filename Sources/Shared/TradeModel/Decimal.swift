/// A decimal number exactly as it was written: `coefficient × 10^−scale`, never a binary floating-point value.
///
/// The scale is kept, so `1.50` stays `1.50`. At most 38 significant digits and 38 places behind the point.
package struct Decimal: Hashable, Sendable {
    /// The digits as one integer; its magnitude is below 10³⁸.
    package let coefficient: Int128
    /// How many of the digits stand behind the point, 0 … 38.
    package let scale: UInt8

    /// The most significant digits that a number may have.
    package static let maximumDigits = 38
    /// The most places behind the point that a number may have.
    package static let maximumScale = 38

    /// Makes the number `coefficient × 10^−scale`; the caller keeps both inside their limits.
    package init(coefficient: Int128, scale: UInt8) {
        self.coefficient = coefficient
        self.scale = scale
    }

    /// Zero, without places.
    package static let zero = Decimal(coefficient: 0, scale: 0)

    /// Reads a whole text as a JSON number, and nothing else; nil when it is none or is out of range.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        var position = 0
        guard let number = try? bytes.span.scanNumber(&position), position == bytes.count else { return nil }
        self = number
    }

    /// 10^exponent, for exponents from 0 to 38.
    package static func powerOfTen(_ exponent: Int) -> Int128 {
        powers[exponent]
    }

    private static let powers: [Int128] = {
        var table: [Int128] = [1]
        for _ in 0..<38 { table.append(table.last! * 10) }
        return table
    }()
}

extension Decimal: Comparable {
    /// Orders by value: `1.5` and `1.50` are neither below the other, though not equal as written.
    package static func < (left: Decimal, right: Decimal) -> Bool {
        order(left, right) < 0
    }

    /// Negative, zero or positive as `left` is below, equal to or above `right` in value.
    package static func order(_ left: Decimal, _ right: Decimal) -> Int {
        if left.scale == right.scale { return sign(left.coefficient, right.coefficient) }
        if left.scale > right.scale { return -order(right, left) }
        let (aligned, overflow) = left.coefficient.multipliedReportingOverflow(
            by: powerOfTen(Int(right.scale - left.scale)))
        // What overflows 128 bits is larger than any coefficient: its sign alone decides.
        return overflow ? sign(left.coefficient, 0) : sign(aligned, right.coefficient)
    }

    private static func sign(_ left: Int128, _ right: Int128) -> Int {
        left < right ? -1 : (left == right ? 0 : 1)
    }
}

extension Decimal: CustomStringConvertible {
    /// The number in plain notation with all its places, as PostgreSQL prints it.
    package var description: String {
        var writer = ByteWriter(capacity: 48)
        writer.write(self)
        return writer.string
    }
}
