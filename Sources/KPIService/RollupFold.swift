import TradeModel

/// Trades folded into rollups a symbol and second, in memory.
///
/// Only seconds are folded a trade; minutes and hours are made of them when they are stored.
struct RollupFold {
    private var indices: [RollupKey: Int] = [:]
    private var rollups: [(key: RollupKey, rollup: Rollup)] = []
    /// Where the seconds of the last trades stand in `rollups`, by a few bits of their symbols: most trades are found here,
    /// which costs less than a look-up. Whether it is the right one, its key tells.
    private var recent = [Int](repeating: 0, count: 1 << recentBits)
    private static let recentBits = 10
    /// Seconds of symbols that trades were left out of before any was added.
    private var omissions: Set<RollupKey> = []

    /// How many seconds of symbols there are.
    var count: Int { rollups.count + omissions.count }

    /// Adds one trade, whose row has the given id.
    mutating func add(_ trade: Trade, id: Int64) {
        let key = RollupKey(symbol: trade.symbol, windowStart: Grain.second.start(of: trade.time))
        let slot = Int(truncatingIfNeeded: key.symbol.fold >> (64 - Self.recentBits))
        let place = recent[slot]
        if place < rollups.count, rollups[place].key == key {
            rollups[place].rollup.add(trade, id: id)
        } else if let place = indices[key] {
            recent[slot] = place
            rollups[place].rollup.add(trade, id: id)
        } else {
            recent[slot] = rollups.count
            indices[key] = rollups.count
            rollups.append((key, Rollup(trade, id: id)))
        }
    }

    /// Leaves out a trade, and remembers its window: a row that is there may say that it has such trades.
    mutating func omit(_ trade: Trade) {
        let key = RollupKey(symbol: trade.symbol, windowStart: Grain.second.start(of: trade.time))
        if indices[key] == nil { omissions.insert(key) }
    }

    /// The windows of a grain that trades were left out of and none was added to, in the order of rollups.
    func omissions(of grain: Grain) -> [RollupKey] {
        guard !omissions.isEmpty else { return [] }
        func window(_ key: RollupKey) -> RollupKey {
            RollupKey(symbol: key.symbol, windowStart: grain.start(of: key.windowStart))
        }
        return Set(omissions.map(window)).subtracting(rollups.map { window($0.key) }).sorted()
    }

    /// The rollups of a grain, in the order in which they are stored.
    func rollups(of grain: Grain) -> [(key: RollupKey, rollup: Rollup)] {
        guard grain != .second else { return rollups.sorted { $0.key < $1.key } }
        var merged: [RollupKey: Rollup] = [:]
        for (key, rollup) in rollups {
            let window = RollupKey(symbol: key.symbol, windowStart: grain.start(of: key.windowStart))
            if merged[window]?.add(rollup) == nil { merged[window] = rollup }
        }
        return merged.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }

    /// Forgets everything, and keeps the memory.
    mutating func reset() {
        indices.removeAll(keepingCapacity: true)
        rollups.removeAll(keepingCapacity: true)
        omissions.removeAll(keepingCapacity: true)
    }
}
