import TestSupport

/// A random JSON number, with its plain notation worked out by shifting digits in the text: no arithmetic, so nothing that
/// the code under test could share.
struct RandomNumber {
    /// The number as JSON, with or without point and exponent.
    let text: [UInt8]
    /// Sign, digits and places in plain notation; nil when it has more than 38 of either.
    let plain: String?

    /// Any number, also such as are out of range.
    init(using random: inout SplitMix64) {
        let long = random.oneIn(8)
        var whole = Self.digits(1 + random.below(long ? 40 : 9), &random)
        if random.oneIn(6) { whole = [0x30] }
        if whole.count > 1, whole[0] == 0x30 { whole[0] = 0x31 }
        let fraction = random.oneIn(3) ? [] : Self.digits(1 + random.below(long ? 40 : 8), &random)
        let exponent = random.oneIn(5) ? random.below(random.oneIn(2) ? 91 : 15) - (random.oneIn(2) ? 45 : 7) : nil
        self.init(
            isNegative: random.oneIn(4), whole: whole, fraction: fraction, exponent: exponent,
            form: random.below(8))
    }

    /// A number that a price can be (`isPrice`: above zero) or a volume.
    init(isPrice: Bool, using random: inout SplitMix64) {
        while true {
            let number = RandomNumber(using: &random)
            guard let plain = number.plain, number.text[0] != UInt8(ascii: "-") else { continue }
            if isPrice, !plain.utf8.contains(where: { (0x31...0x39).contains($0) }) { continue }
            self = number
            return
        }
    }

    private init(isNegative: Bool, whole: [UInt8], fraction: [UInt8], exponent: Int?, form: Int) {
        var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        text += whole
        if !fraction.isEmpty { text += [UInt8(ascii: ".")] + fraction }
        if let exponent {
            text.append(form & 1 == 0 ? UInt8(ascii: "e") : UInt8(ascii: "E"))
            if exponent < 0 { text.append(UInt8(ascii: "-")) } else if form & 2 == 0 { text.append(UInt8(ascii: "+")) }
            if form & 4 == 0 { text.append(0x30) }
            text += Array(String(exponent.magnitude).utf8)
        }
        self.text = text
        plain = Self.plain(isNegative: isNegative, whole: whole, fraction: fraction, exponent: exponent ?? 0)
    }

    private static func digits(_ count: Int, _ random: inout SplitMix64) -> [UInt8] {
        (0..<count).map { _ in random.oneIn(3) ? 0x30 : UInt8(0x30 + random.below(10)) }
    }

    /// Moves the point by the exponent, filling up with zeros on either side.
    private static func plain(isNegative: Bool, whole: [UInt8], fraction: [UInt8], exponent: Int) -> String? {
        var digits = whole + fraction
        var places = fraction.count - exponent
        if places < 0 {
            digits += [UInt8](repeating: 0x30, count: -places)
            places = 0
        }
        if digits.count <= places { digits = [UInt8](repeating: 0x30, count: places + 1 - digits.count) + digits }
        let significant = digits.drop { $0 == 0x30 }
        guard significant.count <= 38, places <= 38 else { return nil }
        let front = digits.dropLast(places).drop { $0 == 0x30 }
        let sign = isNegative && !significant.isEmpty ? "-" : ""
        let whole = front.isEmpty ? "0" : String(decoding: front, as: UTF8.self)
        return sign + whole + (places == 0 ? "" : "." + String(decoding: digits.suffix(places), as: UTF8.self))
    }
}
