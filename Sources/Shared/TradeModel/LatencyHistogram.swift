/// How often durations of about which length occurred, as HdrHistogram counts them: 64 buckets for each doubling, so that
/// the middle of a bucket is within 0.8 % of whatever fell into it, and exact below 128 µs.
///
/// Recording allocates nothing. Merging is exact, in any order: merged histograms are that of all durations.
package struct LatencyHistogram: Equatable, Sendable {
    /// From here on, 12.7 days, everything falls into the last bucket; `maximum` stays exact.
    package static let limit: Int64 = 1 << 40
    /// The number of buckets.
    package static let bucketCount = bucket(of: limit - 1) + 1

    /// Durations of zero or more.
    package private(set) var count: Int64 = 0
    /// Durations below zero, as clocks that differ give: in no bucket, and in none of the figures below.
    package private(set) var negativeCount: Int64 = 0
    /// In microseconds; stays at the greatest number when it is reached.
    package private(set) var sum: Int64 = 0
    private var least = Int64.max
    private var greatest: Int64 = -1
    private var counts = [Int64](repeating: 0, count: bucketCount)

    /// Nothing recorded.
    package init() {}

    /// The shortest duration in microseconds; nil when there is none.
    package var minimum: Int64? { count > 0 ? least : nil }
    /// The longest duration in microseconds; nil when there is none.
    package var maximum: Int64? { count > 0 ? greatest : nil }

    /// Counts a duration.
    @inline(__always)
    package mutating func record(microseconds: Int64) {
        guard microseconds >= 0 else {
            negativeCount += 1
            return
        }
        counts[Self.bucket(of: microseconds)] += 1
        count += 1
        sum = Self.saturatingSum(sum, microseconds)
        least = min(least, microseconds)
        greatest = max(greatest, microseconds)
    }

    /// Adds what another one has counted.
    package mutating func merge(_ other: LatencyHistogram) {
        for (bucket, count) in other.buckets { counts[bucket] += count }
        count += other.count
        negativeCount += other.negativeCount
        sum = Self.saturatingSum(sum, other.sum)
        least = min(least, other.least)
        greatest = max(greatest, other.greatest)
    }

    /// The buckets that are not empty, in rising order.
    package var buckets: [(bucket: Int, count: Int64)] {
        guard count > 0 else { return [] }
        return (Self.bucket(of: least)...Self.bucket(of: greatest)).compactMap {
            counts[$0] > 0 ? ($0, counts[$0]) : nil
        }
    }

    /// The duration in microseconds that the given share of all does not exceed (nearest rank); nil when there is none.
    package func quantile(_ share: Double) -> Int64? {
        guard count > 0 else { return nil }
        let rank = min(count, max(1, Int64((share * Double(count)).rounded(.up))))
        var passed: Int64 = 0
        for bucket in Self.bucket(of: least)...Self.bucket(of: greatest) {
            passed += counts[bucket]
            if passed >= rank { return min(max(Self.middle(of: bucket), least), greatest) }
        }
        return greatest
    }

    /// Forgets everything, and keeps the memory.
    package mutating func reset() {
        if count > 0 {
            for bucket in Self.bucket(of: least)...Self.bucket(of: greatest) { counts[bucket] = 0 }
        }
        (count, negativeCount, sum, least, greatest) = (0, 0, 0, .max, -1)
    }

    /// The bucket that a duration of zero or more falls into.
    @inline(__always)
    package static func bucket(of microseconds: Int64) -> Int {
        let value = Int(min(microseconds, limit - 1))
        let shift = max(0, 57 - value.leadingZeroBitCount)
        return shift << 6 + value >> shift
    }

    /// The duration in microseconds that stands for a bucket.
    package static func middle(of bucket: Int) -> Int64 {
        let shift = max(0, bucket >> 6 - 1)
        return Int64((bucket - shift << 6) << shift + (1 << shift - 1) >> 1)
    }

    @inline(__always)
    private static func saturatingSum(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
