import Testing
import TradeModel

@testable import Producer

@Suite struct SequenceNumbersTests {
    @Test func `numbers rise strictly from the start's clock`() {
        var numbers = SequenceNumbers(after: Timestamp(microseconds: 1_721_555_886_254_321))
        #expect(
            (0..<3).map { _ in numbers.next() } == [
                1_721_555_886_254_322, 1_721_555_886_254_323, 1_721_555_886_254_324,
            ])
    }

    @Test func `a run that sent fewer than a million a second ends below the next one's start`() {
        let start = Timestamp(microseconds: 1_000_000)
        var numbers = SequenceNumbers(after: start)
        var last: Int64 = 0
        for _ in 0..<999_999 { last = numbers.next() }
        var next = SequenceNumbers(after: Timestamp(microseconds: start.microseconds + 1_000_000))
        #expect(last < next.next())
    }
}
