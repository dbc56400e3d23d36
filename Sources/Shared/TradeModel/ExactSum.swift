/// A sum of decimals, or of products of two, without any rounding and without a limit that trades could reach.
///
/// It works in 128 bits, which holds all that markets send, and moves to 640 bits for what does not fit: enough for 10¹⁸
/// products of 38-digit numbers at 38 places each. Its scale is the largest of what was added, as with PostgreSQL's `sum`.
/// The order of additions does not matter: equal sets give equal sums.
package struct ExactSum: Sendable {
    /// Places behind the point.
    package private(set) var scale = 0
    private var total: Int128 = 0
    /// What no longer fitted `total`, at a scale of its own.
    private var overflow: (value: WideInteger, scale: Int)?

    package init() {}

    /// Adds a number.
    @inline(__always)
    package mutating func add(_ number: Decimal) {
        add(number.coefficient, scale: Int(number.scale))
    }

    /// Adds the product of two numbers.
    @inline(__always)
    package mutating func addProduct(_ left: Decimal, _ right: Decimal) {
        let productScale = Int(left.scale) + Int(right.scale)
        let (product, tooLarge) = left.coefficient.multipliedReportingOverflow(by: right.coefficient)
        if tooLarge {
            let full = left.coefficient.multipliedFullWidth(by: right.coefficient)
            spill(WideInteger(high: full.high, low: full.low), scale: productScale)
            add(0, scale: productScale)
        } else {
            add(product, scale: productScale)
        }
    }

    /// Adds another sum.
    package mutating func add(_ other: ExactSum) {
        if let wide = other.overflow { spill(wide.value, scale: wide.scale) }
        add(other.total, scale: other.scale)
    }

    @inline(__always)
    private mutating func add(_ coefficient: Int128, scale newScale: Int) {
        if newScale == scale {
            let (sum, tooLarge) = total.addingReportingOverflow(coefficient)
            if !tooLarge {
                total = sum
                return
            }
        }
        addAligned(coefficient, scale: newScale)
    }

    private mutating func addAligned(_ coefficient: Int128, scale newScale: Int) {
        let common = max(scale, newScale)
        if let left = Self.raise(total, by: common - scale), let right = Self.raise(coefficient, by: common - newScale)
        {
            let (sum, tooLarge) = left.addingReportingOverflow(right)
            if !tooLarge {
                (total, scale) = (sum, common)
                return
            }
        }
        spill(WideInteger(total), scale: scale)
        spill(WideInteger(coefficient), scale: newScale)
        (total, scale) = (0, common)
    }

    private static func raise(_ value: Int128, by places: Int) -> Int128? {
        if places == 0 || value == 0 { return value }
        guard places <= 38 else { return nil }
        let (raised, tooLarge) = value.multipliedReportingOverflow(by: Decimal.powerOfTen(places))
        return tooLarge ? nil : raised
    }

    private mutating func spill(_ value: WideInteger, scale newScale: Int) {
        var (sum, sumScale) = overflow ?? (WideInteger(0), newScale)
        var value = value
        if sumScale < newScale {
            sum.multiplyByPowerOfTen(newScale - sumScale)
            sumScale = newScale
        } else {
            value.multiplyByPowerOfTen(sumScale - newScale)
        }
        sum.add(value)
        overflow = (sum, sumScale)
    }

    /// The sum as one integer `value × 10^−scale`: in 128 bits where it fits, else as sign and magnitude (least
    /// significant word first). Equal sums have equal values, whatever their order and grouping.
    package enum Value: Equatable, Sendable {
        case small(Int128, scale: Int)
        case large(isNegative: Bool, magnitude: [UInt64], scale: Int)
    }

    /// The sum.
    package var value: Value {
        guard let overflow else { return .small(total, scale: scale) }
        // Whatever spilled also raised `scale`, so `overflow.scale` is never above it.
        var sum = overflow.value
        sum.multiplyByPowerOfTen(scale - overflow.scale)
        sum.add(WideInteger(total))
        if let narrow = sum.narrow { return .small(narrow, scale: scale) }
        let (isNegative, magnitude) = sum.signAndMagnitude
        return .large(isNegative: isNegative, magnitude: magnitude, scale: scale)
    }
}

/// A signed integer of 640 bits in two's complement: just what exact sums need beyond 128 bits.
struct WideInteger: Sendable {
    static let wordCount = 10
    private var words = [UInt64](repeating: 0, count: wordCount)

    init(_ value: Int128) {
        self.init(high: value < 0 ? -1 : 0, low: UInt128(truncatingIfNeeded: value))
    }

    /// From the 256 bits of a full multiplication.
    init(high: Int128, low: UInt128) {
        words[0] = UInt64(truncatingIfNeeded: low)
        words[1] = UInt64(truncatingIfNeeded: low >> 64)
        words[2] = UInt64(truncatingIfNeeded: high)
        words[3] = UInt64(truncatingIfNeeded: high >> 64)
        if high < 0 { for index in 4..<Self.wordCount { words[index] = .max } }
    }

    mutating func add(_ other: WideInteger) {
        var carry = false
        for index in words.indices {
            let (first, overflow) = words[index].addingReportingOverflow(other.words[index])
            let (second, again) = first.addingReportingOverflow(carry ? 1 : 0)
            words[index] = second
            carry = overflow || again
        }
    }

    mutating func multiplyByPowerOfTen(_ exponent: Int) {
        var rest = exponent
        while rest > 0 {
            let step = min(rest, 19)
            multiply(by: UInt64(Decimal.powerOfTen(step)))
            rest -= step
        }
    }

    // Modulo 2⁶⁴⁰ a factor acts on two's complement as on the number itself.
    private mutating func multiply(by factor: UInt64) {
        var carry: UInt64 = 0
        for index in words.indices {
            let (high, low) = words[index].multipliedFullWidth(by: factor)
            let (sum, overflow) = low.addingReportingOverflow(carry)
            words[index] = sum
            carry = high &+ (overflow ? 1 : 0)
        }
    }

    /// The number in 128 bits, when it fits.
    var narrow: Int128? {
        let low = Int128(truncatingIfNeeded: UInt128(words[1]) << 64 | UInt128(words[0]))
        let filling: UInt64 = low < 0 ? .max : 0
        return words[2...].allSatisfy { $0 == filling } ? low : nil
    }

    var signAndMagnitude: (isNegative: Bool, magnitude: [UInt64]) {
        let isNegative = words[Self.wordCount - 1] >> 63 == 1
        guard isNegative else { return (false, words) }
        var magnitude = words.map { ~$0 }
        for index in magnitude.indices {
            magnitude[index] &+= 1
            if magnitude[index] != 0 { break }
        }
        return (true, magnitude)
    }
}
