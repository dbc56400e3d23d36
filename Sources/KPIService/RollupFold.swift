import TradeModel

/// Trades folded into rollups a symbol and second, in memory.
///
/// Only seconds are folded a trade; minutes and hours are made of them when they are stored.
struct RollupFold {
    private var indices: [RollupKey: Int] = [:]
    private var rollups: [(key: RollupKey, rollup: Rollup)] = []

    /// How many seconds of symbols there are.
    var count: Int { rollups.count }

    /// Adds one trade, whose row has the given id.
    mutating func add(_ trade: Trade, id: Int64) {
        let key = RollupKey(symbol: trade.symbol, windowStart: Grain.second.start(of: trade.time))
        if let index = indices[key] {
            rollups[index].rollup.add(trade, id: id)
        } else {
            indices[key] = rollups.count
            rollups.append((key, Rollup(trade, id: id)))
        }
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
    }
}
