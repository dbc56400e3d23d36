import TestSupport
import Testing

@testable import TradeModel

@Suite struct DecimalTests {
    @Test(
        arguments: [
            "7296.89", "0.011467", "0.01146847", "66972.77", "0.01559", "41713.98", "0.00014", "35112.76", "0.00126",
            "95436.32", "0.0002", "10929.47", "0.0015", "1.06618", "0", "129.575", "1", "280.235", "100", "317.7",
            "120", "26626", "0.04755", "58667.6", "0.000193",
        ])
    func `a number as the feed sends it is written back digit for digit`(text: String) throws {
        #expect(try #require(Decimal(text)).description == text)
    }

    @Test(
        arguments: [
            ("1e-7", "0.0000001"), ("1E5", "100000"), ("1.5e+3", "1500"), ("1.5E-3", "0.0015"),
            ("12e-38", "0." + zeros(36) + "12"),
            ("0e5", "0"), ("0e-5", "0.00000"), ("0.0e1", "0"), ("0E99999999999999999999", "0"),
            ("1e37", "1" + zeros(37)),
            ("1.23e1", "12.3"), ("1.23e2", "123"), ("1.23e3", "1230"), ("1e00", "1"), ("1e-0", "1"), ("100e-2", "1.00"),
            ("-2.50e1", "-25.0"), ("0.00000000000000000000000000000000000000001e3", "0." + zeros(37) + "1"),
        ])
    func `an exponent only moves the point`(text: String, plain: String) throws {
        #expect(try #require(Decimal(text)).description == plain)
    }

    @Test func `trailing zeros and negative numbers are kept`() throws {
        #expect(Decimal("1.50") == Decimal(coefficient: 150, scale: 2))
        #expect(Decimal("1.50")?.description == "1.50")
        #expect(Decimal("0.000")?.description == "0.000")
        #expect(Decimal("-66972.770")?.description == "-66972.770")
        #expect(Decimal("-0.5") == Decimal(coefficient: -5, scale: 1))
        #expect(Decimal("-0.0") == Decimal(coefficient: 0, scale: 1))
        #expect(Decimal("-0")?.description == "0")
        #expect(Decimal.zero.description == "0")
    }

    @Test func `38 digits are accepted and 39 are refused`() throws {
        let nines = String(repeating: "9", count: 38)
        #expect(Decimal(nines)?.description == nines)
        #expect(Decimal("-" + nines)?.description == "-" + nines)
        #expect(Decimal(nines.prefix(19) + "." + nines.suffix(19))?.scale == 19)
        #expect(Decimal(nines + "9") == nil)
        #expect(Decimal("1" + zeros(38)) == nil)
        #expect(Decimal("1" + zeros(37))?.coefficient == Decimal.powerOfTen(37))
        #expect(Decimal("1e38") == nil)
        #expect(Decimal("9.9e37")?.description == "99" + zeros(36))
        #expect(Decimal(nines + "e1") == nil)
        #expect(Decimal("1e100000") == nil)
        #expect(Decimal("1e" + nines) == nil)
        for digits in 1...38 {
            let text = String(nines.prefix(digits))
            #expect(Decimal(text)?.description == text)
        }
    }

    @Test func `38 places are accepted and 39 are refused`() throws {
        let least = "0." + zeros(37) + "1"
        #expect(Decimal(least) == Decimal(coefficient: 1, scale: 38))
        #expect(Decimal(least)?.description == least)
        #expect(Decimal("0." + zeros(38))?.description == "0." + zeros(38))
        #expect(Decimal("0." + String(repeating: "9", count: 38))?.scale == 38)
        #expect(Decimal("0." + zeros(38) + "1") == nil)
        #expect(Decimal("0." + zeros(39)) == nil)
        #expect(Decimal("1e-38")?.description == least)
        #expect(Decimal("1e-39") == nil)
        #expect(Decimal("0e-39") == nil)
    }

    @Test(
        arguments: [
            "", " ", "+1", "01", "-01", "00", "1.", ".5", "-", "-.5", "1e", "1e+", "1e-", "1.e5", "NaN", "nan",
            "Infinity",
            "-Infinity", "0x10", "1,5", "1_000", " 1", "1 ", "1\n", "--1", "1.2.3", "1e5.0", "1.234567890123456789.5",
            "1.2e3.4e5", "1ee5", "١", "1\0", "\"1\"", "null",
        ])
    func `what is no JSON number is refused`(text: String) {
        #expect(Decimal(text) == nil)
    }

    @Test func `numbers are ordered by value across scales`() throws {
        let ascending = try [
            "-" + String(repeating: "9", count: 38), "-66972.78", "-66972.77", "-1", "-0." + zeros(37) + "1", "0",
            "0." + zeros(37) + "1", "0.1", "0.11", "1", "1.000001", "9.99", "10", "66972.77",
            String(repeating: "9", count: 38),
        ].map { try #require(Decimal($0)) }
        for (left, leftNumber) in ascending.enumerated() {
            for (right, rightNumber) in ascending.enumerated() {
                let expected = left < right ? -1 : (left == right ? 0 : 1)
                #expect(Decimal.order(leftNumber, rightNumber) == expected)
                #expect((leftNumber < rightNumber) == (left < right))
            }
        }
    }

    @Test func `numbers of equal value are ordered equal though they are not written equal`() throws {
        let short = try #require(Decimal("1.5"))
        let long = try #require(Decimal("1.50"))
        #expect(short != long)
        #expect(Decimal.order(short, long) == 0)
        #expect(!(short < long) && !(long < short))
        #expect(Decimal.order(.zero, Decimal(coefficient: 0, scale: 38)) == 0)
    }

    @Test func `order holds where aligning the scales overflows`() throws {
        let huge = Decimal(coefficient: Decimal.powerOfTen(38) - 1, scale: 0)
        let tiny = Decimal(coefficient: Decimal.powerOfTen(38) - 1, scale: 38)
        let negative = Decimal(coefficient: 1 - Decimal.powerOfTen(38), scale: 0)
        #expect(tiny < huge && negative < tiny && negative < huge)
        #expect(!(huge < tiny) && !(tiny < negative) && !(huge < negative))
        #expect(Decimal(coefficient: 2, scale: 0) > tiny)
        #expect(Decimal(coefficient: -2, scale: 0) < tiny)
    }

    @Test func `100,000 random numbers are written in plain notation, or refused for their length`() {
        let seed: UInt64 = 1
        var random = SplitMix64(seed: seed)
        var refused = 0
        for run in 0..<100_000 {
            let number = RandomNumber(using: &random)
            let text = String(decoding: number.text, as: UTF8.self)
            let description = Decimal(text)?.description
            guard description != number.plain else {
                if description == nil { refused += 1 }
                continue
            }
            Issue.record(
                "seed \(seed), run \(run): \(text) gives \(description ?? "nil"), not \(number.plain ?? "nil")")
            return
        }
        #expect((1000...50_000).contains(refused))
    }

    @Test func `a written number reads back as the same number`() throws {
        let seed: UInt64 = 2
        var random = SplitMix64(seed: seed)
        for run in 0..<20_000 {
            guard let plain = RandomNumber(using: &random).plain else { continue }
            let number = try #require(Decimal(plain), "seed \(seed), run \(run): \(plain)")
            guard number.description == plain, Decimal(number.description) == number else {
                Issue.record("seed \(seed), run \(run): \(plain)")
                return
            }
        }
    }
}

func zeros(_ count: Int) -> String {
    String(repeating: "0", count: count)
}
