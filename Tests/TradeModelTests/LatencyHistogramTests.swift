import TestSupport
import Testing
import TradeModel

@Suite struct LatencyHistogramTests {
    private static let day: Int64 = 86_400_000_000

    /// Durations of all lengths: as likely between 1 and 2 µs as between 10 and 20 days, and some below zero.
    private static func durations(_ count: Int, _ random: inout SplitMix64) -> [Int64] {
        (0..<count).map { _ in
            let value = Int64(truncatingIfNeeded: random.next() >> 24) >> Int64(random.below(40))
            return random.oneIn(10) ? -value : value
        }
    }

    private static func histogram(_ durations: some Sequence<Int64>) -> LatencyHistogram {
        durations.reduce(into: LatencyHistogram()) { $0.record(microseconds: $1) }
    }

    @Test func `the middle of a bucket is within one percent of whatever falls into it`() {
        var random = SplitMix64(seed: 1)
        let powers = (0..<40).map { Int64(1) << $0 }.flatMap { [$0 - 1, $0, $0 + 1] }
        for value in powers + Self.durations(100_000, &random) + [Self.day, 10 * Self.day] where value >= 0 {
            let middle = LatencyHistogram.middle(of: LatencyHistogram.bucket(of: value))
            #expect(abs(middle - value) * 100 <= value, "\(value) is told as \(middle)")
            if value < 128 { #expect(middle == value) }
        }
    }

    @Test func `buckets rise with durations, and none is left out`() {
        #expect(LatencyHistogram.bucket(of: 0) == 0)
        for bucket in 1..<LatencyHistogram.bucketCount {
            let (before, middle) = (LatencyHistogram.middle(of: bucket - 1), LatencyHistogram.middle(of: bucket))
            #expect(before < middle)
            #expect(LatencyHistogram.bucket(of: middle) == bucket)
        }
    }

    @Test func `what was recorded is in the figures, exactly`() {
        var random = SplitMix64(seed: 2)
        let durations = Self.durations(5000, &random)
        let histogram = Self.histogram(durations)
        let positive = durations.filter { $0 >= 0 }
        #expect(histogram.count == Int64(positive.count))
        #expect(histogram.negativeCount == Int64(durations.count - positive.count))
        #expect(histogram.sum == positive.reduce(0, +))
        #expect(histogram.minimum == positive.min())
        #expect(histogram.maximum == positive.max())
        let told = histogram.buckets
        #expect(told.map(\.bucket) == told.map(\.bucket).sorted())
        #expect(
            Dictionary(uniqueKeysWithValues: told.map { ($0.bucket, $0.count) })
                == Dictionary(positive.map { (LatencyHistogram.bucket(of: $0), 1) }, uniquingKeysWith: +))
    }

    @Test func `a quantile is within one percent of the duration at its rank`() throws {
        var random = SplitMix64(seed: 3)
        for count in [1, 2, 3, 10, 1000, 20_000] {
            let durations = Self.durations(count, &random).map { abs($0) }.sorted()
            let histogram = Self.histogram(durations)
            for share in [0, 0.01, 0.5, 0.95, 0.99, 0.999, 1] {
                let rank = max(1, Int((share * Double(count)).rounded(.up)))
                let (exact, told) = (durations[rank - 1], try #require(histogram.quantile(share)))
                #expect(abs(told - exact) * 100 <= exact, "\(share) of \(count)")
            }
        }
    }

    @Test func `merging is the same in any order and grouping, and the same as recording all`() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<50 {
            let parts = (0..<3).map { _ in Self.durations(random.below(200), &random) }
            let (a, b, c) = (Self.histogram(parts[0]), Self.histogram(parts[1]), Self.histogram(parts[2]))
            func merged(_ histograms: LatencyHistogram...) -> LatencyHistogram {
                histograms.reduce(into: LatencyHistogram()) { $0.merge($1) }
            }
            let all = Self.histogram(parts.joined())
            #expect(merged(a, b, c) == all)
            #expect(merged(merged(a, b), c) == merged(a, merged(b, c)))
            #expect(merged(c, a, b) == all)
            #expect(merged(a, LatencyHistogram()) == a)
        }
    }

    @Test func `the greatest and the least of numbers are taken as they are`() {
        var histogram = Self.histogram([.max, .max, .min, LatencyHistogram.limit, 0])
        #expect(histogram.count == 4 && histogram.negativeCount == 1)
        #expect(histogram.sum == .max && histogram.maximum == .max && histogram.minimum == 0)
        #expect(histogram.buckets.last! == (LatencyHistogram.bucketCount - 1, 3))
        histogram.merge(histogram)
        #expect(histogram.sum == .max && histogram.count == 8)
    }

    @Test func `after a reset it is as new`() {
        var random = SplitMix64(seed: 5)
        var histogram = Self.histogram(Self.durations(1000, &random))
        histogram.reset()
        #expect(histogram == LatencyHistogram())
        #expect(histogram.minimum == nil && histogram.maximum == nil && histogram.quantile(0.5) == nil)
        #expect(histogram.buckets.isEmpty)
    }
}
