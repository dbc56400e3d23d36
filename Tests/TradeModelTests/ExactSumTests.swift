import TestSupport
import Testing

@testable import TradeModel

@Suite struct ExactSumTests {
    @Test func `nothing sums to zero without places`() {
        #expect(ExactSum().value == .small(0, scale: 0))
    }

    @Test func `a sum has the places of its longest number`() throws {
        var sum = ExactSum()
        for text in ["66972.77", "0.01559", "200", "-0.5"] { sum.add(try #require(Decimal(text))) }
        #expect(sum.value == .small(6_717_228_559, scale: 5))
        #expect(sum.scale == 5)
        sum.add(Decimal(coefficient: 0, scale: 8))
        #expect(sum.value == .small(6_717_228_559_000, scale: 8))
    }

    @Test func `a product has the places of both numbers`() throws {
        var sum = ExactSum()
        sum.addProduct(try #require(Decimal("66972.77")), try #require(Decimal("0.01559")))
        #expect(sum.value == .small(10_441_054_843, scale: 7))
        sum.addProduct(try #require(Decimal("1.06618")), .zero)
        #expect(sum.value == .small(10_441_054_843, scale: 7))
    }

    @Test func `the largest products are exact`() throws {
        let nines = String(repeating: "9", count: 38)
        let large = try #require(Decimal("0." + nines))
        var sum = ExactSum()
        for _ in 0..<1000 { sum.addProduct(large, large) }
        let square = SchoolbookNumber(nines).times(SchoolbookNumber(nines)).times(SchoolbookNumber("1000"))
        #expect(Self.text(sum.value) == square.description + "e-76")
    }

    @Test func `a sum that grew past 128 bits and came back is small again`() throws {
        let large = Decimal(coefficient: Decimal.powerOfTen(38) - 1, scale: 0)
        let negative = Decimal(coefficient: 1 - Decimal.powerOfTen(38), scale: 0)
        var straight = ExactSum()
        for number in [large, negative, large, negative, large, negative] { straight.add(number) }
        var detour = ExactSum()
        for number in [large, large, large, negative, negative, negative] { detour.add(number) }
        #expect(straight.value == .small(0, scale: 0))
        #expect(detour.value == .small(0, scale: 0))
    }

    @Test(arguments: [(Int128.max, 1), (Int128.min, -1)] as [(Int128, Int)])
    func `the value turns large exactly where 128 bits end`(edge: Int128, direction: Int) {
        // The edge is reached from both sides: one step short of it, on it, and one step past it.
        let half = Decimal(coefficient: edge / 2, scale: 0)
        let rest = Decimal(coefficient: edge - edge / 2, scale: 0)
        let step = Decimal(coefficient: Int128(direction), scale: 0)
        var sum = ExactSum()
        for number in [half, rest] { sum.add(number) }
        #expect(sum.value == .small(edge, scale: 0))
        sum.add(step)
        #expect(
            Self.text(sum.value) == SchoolbookNumber("\(edge)").plus(SchoolbookNumber("\(direction)")).description
                + "e-0")
        guard case .large(let isNegative, _, scale: 0) = sum.value else {
            Issue.record("\(sum.value) is not large")
            return
        }
        #expect(isNegative == (direction < 0))
        sum.add(Decimal(coefficient: Int128(-direction), scale: 0))
        #expect(sum.value == .small(edge, scale: 0))
    }

    @Test func `any order and any grouping gives the same value as arithmetic on paper`() throws {
        let seed: UInt64 = 8
        var random = SplitMix64(seed: seed)
        var (small, large) = (0, 0)
        for run in 0..<400 {
            let terms = try Self.terms(&random)
            let expected = Self.onPaper(terms)
            let values = [
                Self.inOrder(terms), Self.inOrder(terms.shuffled(using: &random)),
                Self.inOrder(terms.sorted { $0.text < $1.text }),
                Self.grouped(terms.shuffled(using: &random), &random).value,
                Self.grouped(terms, &random).value,
            ]
            for (way, value) in values.enumerated() where value != values[0] || Self.text(value) != expected {
                Issue.record("seed \(seed), run \(run), way \(way): \(Self.text(value)), not \(expected)")
                return
            }
            if case .small = values[0] { small += 1 } else { large += 1 }
        }
        #expect(small > 50 && large > 50)
    }

    /// A number or a product of two, and how it is written.
    private struct Term {
        var numbers: [Decimal]
        var text: String
    }

    private static func terms(_ random: inout SplitMix64) throws -> [Term] {
        let longest = random.pick([3, 12, 19, 38])
        let deepest = random.pick([0, 2, 8, 38])
        var terms: [Term] = []
        for _ in 0..<random.below(24) {
            let numbers = (0..<(random.oneIn(2) ? 2 : 1)).map { _ in
                let digits = String((0..<1 + random.below(longest)).map { _ in random.pick(Array("0123456789")) })
                let text = (random.oneIn(2) ? "-" : "") + digits
                return Decimal(coefficient: Int128(text)!, scale: UInt8(random.below(deepest + 1)))
            }
            terms.append(Term(numbers: numbers, text: "\(numbers)"))
        }
        // Now and then everything is taken away again, so that large sums come back to small ones.
        if random.oneIn(4) {
            for term in terms {
                let first = term.numbers[0]
                let negated = Decimal(coefficient: -first.coefficient, scale: first.scale)
                terms.append(Term(numbers: [negated] + term.numbers.dropFirst(), text: "-" + term.text))
            }
        }
        return terms
    }

    private static func add(_ term: Term, to sum: inout ExactSum) {
        if term.numbers.count == 2 {
            sum.addProduct(term.numbers[0], term.numbers[1])
        } else {
            sum.add(term.numbers[0])
        }
    }

    private static func inOrder(_ terms: [Term]) -> ExactSum.Value {
        var sum = ExactSum()
        for term in terms { add(term, to: &sum) }
        return sum.value
    }

    /// Cuts the terms into random parts, sums each in the same way, and merges the sums.
    private static func grouped(_ terms: [Term], _ random: inout SplitMix64) -> ExactSum {
        var sum = ExactSum()
        guard terms.count > 2 else {
            for term in terms { add(term, to: &sum) }
            return sum
        }
        var rest = terms[...]
        while !rest.isEmpty {
            let part = rest.prefix(1 + random.below(terms.count - 1))
            rest = rest.dropFirst(part.count)
            let partSum = grouped(Array(part), &random)
            if random.oneIn(2) {
                sum.add(partSum)
            } else {
                var other = partSum
                other.add(sum)
                sum = other
            }
        }
        return sum
    }

    private static func onPaper(_ terms: [Term]) -> String {
        let scale = terms.map { $0.numbers.reduce(0) { $0 + Int($1.scale) } }.max() ?? 0
        var sum = SchoolbookNumber()
        for term in terms {
            let product = term.numbers.reduce(SchoolbookNumber("1")) { $0.times(SchoolbookNumber("\($1.coefficient)")) }
            sum = sum.plus(product.timesPowerOfTen(scale - term.numbers.reduce(0) { $0 + Int($1.scale) }))
        }
        return "\(sum.description)e-\(scale)"
    }

    private static func text(_ value: ExactSum.Value) -> String {
        switch value {
        case .small(let total, let scale): "\(total)e-\(scale)"
        case .large(let isNegative, let magnitude, let scale):
            "\(SchoolbookNumber(isNegative: isNegative, words: magnitude).description)e-\(scale)"
        }
    }
}
