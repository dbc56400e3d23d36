import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite struct RollupTests {
    /// All that is known of a rollup, digit for digit.
    private static func text(_ key: RollupKey, _ rollup: Rollup) -> String {
        let edges = [rollup.open, rollup.close].map { "\($0.price) \($0.time) \($0.id)" }
        return """
            \(key.symbol) \(key.windowStart): \(rollup.trades) \(rollup.volume.value) \(rollup.priceSum.value) \
            \(rollup.notional.value) \(edges) \(rollup.high) \(rollup.low)
            """
    }

    private static func texts(_ fold: RollupFold) -> [[String]] {
        Grain.allCases.map { fold.rollups(of: $0).map(text) }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `neither the order of trades nor their batches make a difference`(seed: UInt64) {
        let trades = randomTrades(300, seed: seed)
        var whole = RollupFold()
        for row in trades { whole.add(row.trade, id: row.id) }
        let expected = Self.texts(whole)

        var random = SplitMix64(seed: seed &+ 1000)
        for _ in 0..<5 {
            var shuffled = trades.shuffled(using: &random)[...]
            var shuffledFold = RollupFold()
            for row in shuffled { shuffledFold.add(row.trade, id: row.id) }
            #expect(Self.texts(shuffledFold) == expected)

            // In batches of any size, which are added up as the tables add them, in any order.
            var batches: [RollupFold] = []
            while !shuffled.isEmpty {
                var batch = RollupFold()
                let size = Int.random(in: 1...80, using: &random)
                for row in shuffled.prefix(size) { batch.add(row.trade, id: row.id) }
                batches.append(batch)
                shuffled = shuffled.dropFirst(size)
            }
            for (grain, expected) in zip(Grain.allCases, expected) {
                var sums: [RollupKey: Rollup] = [:]
                for batch in batches.shuffled(using: &random) {
                    for (key, rollup) in batch.rollups(of: grain) {
                        if sums[key]?.add(rollup) == nil { sums[key] = rollup }
                    }
                }
                #expect(sums.sorted { $0.key < $1.key }.map { Self.text($0.key, $0.value) } == expected)
            }
        }
    }

    @Test func `windows are those of the trades' own times`() {
        var fold = RollupFold()
        let symbol = ShortText("A")!
        let one = Decimal(coefficient: 1, scale: 0)
        for (id, milliseconds) in [0, 999, 1000, 59_999, 60_000, 3_599_999, 3_600_000].enumerated() {
            let time = Timestamp(milliseconds: Int64(milliseconds))
            fold.add(
                Trade(symbol: symbol, price: one, volume: one, time: time, conditions: .empty), id: Int64(id))
        }
        func windows(_ grain: Grain) -> [String] {
            fold.rollups(of: grain).map { "\($0.key.windowStart.milliseconds / 1000): \($0.rollup.trades)" }
        }
        #expect(windows(.second) == ["0: 2", "1: 1", "59: 1", "60: 1", "3599: 1", "3600: 1"])
        #expect(windows(.minute) == ["0: 4", "60: 1", "3540: 1", "3600: 1"])
        #expect(windows(.hour) == ["0: 6", "3600: 1"])
    }

    @Test func `the first and last of equal times are told by their rows`() {
        var fold = RollupFold()
        for id in [5, 2, 9, 7] as [Int64] {
            let price = Decimal(coefficient: Int128(id), scale: 0)
            fold.add(
                Trade(
                    symbol: ShortText("A")!, price: price, volume: .zero, time: Timestamp(milliseconds: 1),
                    conditions: .empty), id: id)
        }
        let rollup = fold.rollups(of: .second)[0].rollup
        #expect((rollup.open.id, rollup.close.id) == (2, 9))
        #expect((rollup.open.price.coefficient, rollup.close.price.coefficient) == (2, 9))
    }

    @Test func `a fold that was reset is empty`() {
        var fold = RollupFold()
        for row in randomTrades(10, seed: 1) { fold.add(row.trade, id: row.id) }
        #expect(fold.count > 0)
        fold.reset()
        #expect(fold.count == 0)
        #expect(fold.rollups(of: .hour).isEmpty)
    }
}
