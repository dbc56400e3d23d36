import Synchronization

/// A number that only rises.
package final class Counter: Sendable {
    private let count = Atomic<Int64>(0)

    package init() {}

    /// Adds to the count; wait-free, from any thread.
    package func increment(by amount: Int64 = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The count so far.
    package var value: Int64 { count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let number = Atomic<Int64>(0)

    package init() {}

    /// Sets the level; wait-free, from any thread.
    package func set(_ value: Int64) {
        number.store(value, ordering: .relaxed)
    }

    /// The level that was set last.
    package var value: Int64 { number.load(ordering: .relaxed) }
}

/// How often durations fell below each of some bounds.
package final class Histogram: Sendable {
    /// Upper bounds in microseconds, rising: 100 µs to 60 s.
    static let bounds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        5_000_000, 10_000_000, 60_000_000,
    ]
    private let buckets: [Counter] = (0...bounds.count).map { _ in Counter() }
    private let sum = Counter()

    package init() {}

    /// Counts one duration; a negative one, as clocks that disagree give, counts as none.
    package func observe(microseconds: Int64) {
        let microseconds = max(0, microseconds)
        let index = Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count
        buckets[index].increment()
        sum.increment(by: microseconds)
    }

    /// Counts a bucket and all below it, as Prometheus wants them, and the sum in microseconds.
    var snapshot: (cumulative: [Int64], sum: Int64) {
        var running: Int64 = 0
        let cumulative = buckets.map { bucket in
            running += bucket.value
            return running
        }
        return (cumulative, sum.value)
    }
}
