import TradeModel

/// How trades are written into frames, where it differs from what is usual in the feed.
struct TradeStyle: Equatable, Sendable {
    /// The orders of keys that have been seen in the feed.
    enum Keys: String, CaseIterable {
        case typeFirst = "type-first"
        case dataFirst = "data-first"
    }

    /// How a price or a volume is written.
    enum Numbers: String, CaseIterable {
        /// The same value with an exponent.
        case exponent
        /// Without what stands behind the point.
        case integer
        /// With 17 digits, as a sum of binary floating-point numbers ends.
        case long
    }

    /// nil for both orders in turns.
    var keys: Keys?
    /// nil for the market's own.
    var conditions: MarketTrade.Conditions?
    /// nil for the feed's way.
    var numbers: Numbers?
    /// How many times each trade stands in its frame.
    var copies = 1
    /// How many milliseconds are added to a trade's time.
    var shift: ClosedRange<Int64> = 0...0
}

extension ByteWriter {
    /// Appends a number in a style.
    mutating func write(_ number: Decimal, as style: TradeStyle.Numbers?) {
        switch style {
        case _ where number.coefficient == 0: write(number)
        case nil: writeFeedNumber(number)
        case .exponent: writeWithExponent(number)
        case .integer:
            write(Decimal(coefficient: number.coefficient / Decimal.powerOfTen(Int(number.scale)), scale: 0))
        case .long:
            let missing = 17 - number.digits
            let scaled = number.coefficient * Decimal.powerOfTen(missing)
            write(Decimal(coefficient: scaled + 4, scale: number.scale + UInt8(missing)))
        }
    }

    /// Appends a number as the feed's JSON library does: with an exponent when it is below 10^−6.
    mutating func writeFeedNumber(_ number: Decimal) {
        guard number.scale > 6, number.coefficient != 0, number.digits - 1 - Int(number.scale) < -6 else {
            return write(number)
        }
        writeWithExponent(number)
    }

    private mutating func writeWithExponent(_ number: Decimal) {
        let places = number.digits - 1
        write(Decimal(coefficient: number.coefficient, scale: UInt8(places)))
        write(byte: UInt8(ascii: "e"))
        write(Int64(places - Int(number.scale)))
    }
}

extension Decimal {
    /// How many digits the coefficient has; the market's have at most 13.
    fileprivate var digits: Int {
        var digits = 1
        while coefficient.magnitude >= Decimal.powerOfTen(digits).magnitude { digits += 1 }
        return digits
    }
}
