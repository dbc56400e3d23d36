import Testing
import TradeModel

@testable import Producer

@Suite struct SequenceNumbersTests {
    private let now = Timestamp(microseconds: 1_721_555_886_254_321)

    @Test func `numbers rise strictly from the start's clock`() {
        var numbers = SequenceNumbers(after: nil, at: now)
        #expect((1...3).map { _ in numbers.next() } == [1, 2, 3].map { now.microseconds + $0 })
        #expect(numbers.last == now.microseconds + 3)
    }

    @Test func `a run that sent fewer than a million a second ends below the next one's start`() {
        var numbers = SequenceNumbers(after: nil, at: now)
        for _ in 0..<999_999 { _ = numbers.next() }
        var next = SequenceNumbers(after: nil, at: Timestamp(microseconds: now.microseconds + 1_000_000))
        #expect(numbers.last < next.next())
    }

    @Test func `a clock that was set back changes nothing where the last number is known`() {
        var numbers = SequenceNumbers(after: now.microseconds, at: Timestamp(microseconds: 7))
        #expect(numbers.next() == now.microseconds + 1)
    }
}
