/// A whole number as decimal digits, added and multiplied as on paper: slow, and nothing that `ExactSum` could share.
struct SchoolbookNumber: Equatable {
    private var isNegative = false
    /// The least digit first, without zeros at the end; zero has none.
    private var digits: [UInt8] = []

    init() {}

    init(_ text: String) {
        isNegative = text.hasPrefix("-")
        digits = text.utf8.filter { $0 != UInt8(ascii: "-") }.reversed().map { $0 - 0x30 }
        normalize()
    }

    /// From binary words, the least one first: Horner's rule from the highest bit.
    init(isNegative: Bool, words: [UInt64]) {
        for word in words.reversed() {
            for shift in stride(from: 56, through: 0, by: -8) {
                self = self.times(SchoolbookNumber("256")).plus(SchoolbookNumber(String((word >> UInt64(shift)) & 255)))
            }
        }
        self.isNegative = isNegative && !digits.isEmpty
    }

    func plus(_ other: SchoolbookNumber) -> SchoolbookNumber {
        var result = self
        if isNegative == other.isNegative {
            result.digits = Self.sum(digits, other.digits)
        } else if Self.isBelow(digits, other.digits) {
            result.digits = Self.difference(other.digits, digits)
            result.isNegative = other.isNegative
        } else {
            result.digits = Self.difference(digits, other.digits)
        }
        result.normalize()
        return result
    }

    func times(_ other: SchoolbookNumber) -> SchoolbookNumber {
        var columns = [Int](repeating: 0, count: digits.count + other.digits.count + 1)
        for (place, digit) in digits.enumerated() {
            for (otherPlace, otherDigit) in other.digits.enumerated() {
                columns[place + otherPlace] += Int(digit) * Int(otherDigit)
            }
        }
        for place in 0..<columns.count - 1 {
            columns[place + 1] += columns[place] / 10
            columns[place] %= 10
        }
        var result = SchoolbookNumber()
        result.digits = columns.map { UInt8($0) }
        result.isNegative = isNegative != other.isNegative
        result.normalize()
        return result
    }

    func timesPowerOfTen(_ exponent: Int) -> SchoolbookNumber {
        var result = self
        if !digits.isEmpty { result.digits = [UInt8](repeating: 0, count: exponent) + digits }
        return result
    }

    var description: String {
        guard !digits.isEmpty else { return "0" }
        return (isNegative ? "-" : "") + String(decoding: digits.reversed().map { $0 + 0x30 }, as: UTF8.self)
    }

    private mutating func normalize() {
        while digits.last == 0 { digits.removeLast() }
        if digits.isEmpty { isNegative = false }
    }

    private static func sum(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var carry: UInt8 = 0
        for place in 0..<max(left.count, right.count) {
            let column = (place < left.count ? left[place] : 0) + (place < right.count ? right[place] : 0) + carry
            result.append(column % 10)
            carry = column / 10
        }
        return result + [carry]
    }

    private static func difference(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var borrow: UInt8 = 0
        for place in 0..<left.count {
            let column = left[place] + 10 - (place < right.count ? right[place] : 0) - borrow
            result.append(column % 10)
            borrow = column < 10 ? 1 : 0
        }
        return result
    }

    private static func isBelow(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        if left.count != right.count { return left.count < right.count }
        return left.reversed().lexicographicallyPrecedes(right.reversed())
    }
}
