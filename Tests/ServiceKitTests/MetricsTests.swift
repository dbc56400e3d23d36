import Testing

@testable import ServiceKit

struct MetricsTests {
    @Test(.timeLimit(.minutes(10))) func `a counter loses nothing among many threads`() async {
        let counter = Counter()
        await onThreads(8) { thread in
            for _ in 0..<10_000 { counter.increment(by: Int64(thread)) }
            counter.increment()
        }
        #expect(counter.value == 10_000 * (0..<8).reduce(0, +) + 8)
    }

    @Test func `a gauge has the value that was set last`() {
        let gauge = Gauge()
        #expect(gauge.value == 0)
        for value in [5, -3] as [Int64] {
            gauge.set(value)
            #expect(gauge.value == value)
        }
    }

    @Test func `a duration counts in its bucket and all above it`() {
        let histogram = Histogram()
        // On a bound, just above it, and above the last.
        for microseconds in [100, 101, 250, 60_000_000, 60_000_001] as [Int64] {
            histogram.observe(microseconds: microseconds)
        }
        let (cumulative, sum) = histogram.snapshot
        #expect(cumulative.count == Histogram.bounds.count + 1)
        #expect(Array(cumulative.prefix(3)) == [1, 3, 3])
        #expect(Array(cumulative.suffix(3)) == [3, 4, 5])
        #expect(sum == 120_000_452)
    }

    @Test func `a negative duration counts as none`() {
        let histogram = Histogram()
        histogram.observe(microseconds: -5_000_000)
        histogram.observe(microseconds: .min)
        #expect(histogram.snapshot.cumulative.allSatisfy { $0 == 2 })
        #expect(histogram.snapshot.sum == 0)
    }

    @Test func `absurd amounts do not stop the program`() {
        let histogram = Histogram()
        for _ in 0..<3 { histogram.observe(microseconds: .max) }
        #expect(histogram.snapshot.cumulative.last == 3)
    }

    @Test(.timeLimit(.minutes(10))) func `a histogram loses nothing among many threads`() async {
        let histogram = Histogram()
        await onThreads(8) { thread in
            for _ in 0..<5000 { histogram.observe(microseconds: Int64(thread) * 100) }
        }
        #expect(histogram.snapshot.cumulative.last == 40_000)
        #expect(histogram.snapshot.sum == 5000 * 2800)
    }
}
