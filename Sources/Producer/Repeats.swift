import TradeModel

/// Counts how often an identical trade came shortly before: the feed sends most trades twice, and real twins exist too.
///
/// A trade is identical to another when symbol, price, volume, time and conditions are, as they were written. Nothing is
/// thrown away: who reads the topic decides. The memory is one table of a fixed size, eight places a bucket: a trade that
/// finds its bucket full takes the place of the one seen longest ago, so a rate beyond all expectation costs only the
/// knowledge of the oldest trades, and is counted.
struct Repeats {
    /// How long a trade is remembered after it was seen last.
    static let window = Duration.seconds(120)
    private static let waysABucket = 8

    private struct Place {
        var fingerprint: UInt64 = 0
        /// Milliseconds by the caller's clock.
        var lastSeen: Int64 = 0
        var count: Int32 = 0
    }

    private var places: [Place]
    private let bucketMask: Int
    /// Trades that were forgotten before their time, for lack of room.
    private(set) var forgotten: Int64 = 0

    /// Makes a memory of so many trades, rounded up to a power of two; each takes 24 bytes.
    init(capacity: Int = 1 << 19) {
        var buckets = 1
        while buckets * Self.waysABucket < capacity { buckets *= 2 }
        places = [Place](repeating: Place(), count: buckets * Self.waysABucket)
        bucketMask = buckets - 1
    }

    /// How many identical trades came before this one, none of them more than the window after the one before it.
    /// - Parameters:
    ///   - conditions: the bytes of the trade's conditions.
    ///   - now: milliseconds by a clock that never goes back.
    mutating func count(_ trade: borrowing Trade, conditions: UnsafeRawBufferPointer, now: Int64) -> Int32 {
        let fingerprint = Self.fingerprint(trade, conditions)
        let bucket = (Int(truncatingIfNeeded: fingerprint >> 32) & bucketMask) * Self.waysABucket
        let oldest = now - Self.window.components.seconds * 1000
        var victim = bucket
        for index in bucket..<bucket + Self.waysABucket {
            if places[index].fingerprint == fingerprint {
                let isRecent = places[index].lastSeen >= oldest && places[index].count > 0
                let before = isRecent ? places[index].count : 0
                places[index].count = before == .max ? before : before + 1
                places[index].lastSeen = now
                return before
            }
            if places[index].lastSeen < places[victim].lastSeen || places[index].count == 0 { victim = index }
        }
        if places[victim].count > 0, places[victim].lastSeen >= oldest { forgotten += 1 }
        places[victim] = Place(fingerprint: fingerprint, lastSeen: now, count: 1)
        return 0
    }

    /// 64 bits of everything that makes a trade. Among a million trades in memory, a new one meets another's fingerprint
    /// once in 10¹³ times; it then only carries a mark too many.
    private static func fingerprint(_ trade: borrowing Trade, _ conditions: UnsafeRawBufferPointer) -> UInt64 {
        var mix = Fingerprint()
        trade.symbol.withBytes { mix.add($0) }
        mix.add(trade.price)
        mix.add(trade.volume)
        mix.add(UInt64(bitPattern: trade.time.microseconds))
        mix.add(conditions)
        return mix.value
    }
}
