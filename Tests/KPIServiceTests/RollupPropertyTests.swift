import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

/// Through the real merge into a real database, compared digit for digit.
@Suite(.timeLimit(.minutes(10))) struct RollupPropertyTests {
    @Test(arguments: 1...3 as ClosedRange<UInt64>, RepeatRule.allCases)
    func `any order, batches, crashes and owners of the same trades give the same rollups`(
        seed: UInt64, rule: RepeatRule
    ) async throws {
        let trades = TradeTables.trades(500, seed: seed)
        let reference = try await TradeTables()
        try reference.fill(trades, rule)
        let expected = try reference.rollups()
        #expect(expected.count > 30)
        #expect(try reference.verify(repeats: rule).lines == [])

        var random = SplitMix64(seed: seed)
        for _ in 0..<2 {
            let tables = try await TradeTables()
            // Each owner has its share of the records, by record and not by symbol: harder than partitions are.
            var shares = [[StoredTrade]](repeating: [], count: 1 + random.below(4))
            for trade in trades.shuffled(using: &random) { shares[random.below(shares.count)].append(trade) }
            for share in shares { try tables.count(share, rule, &random, crashes: true) }
            #expect(try tables.rollups() == expected)
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `merging is associative and commutative in the tables`(seed: UInt64) async throws {
        let trades = TradeTables.trades(90, seed: seed)
        let parts = [trades[..<30], trades[30..<60], trades[60...]].map { part in
            var fold = RollupFold()
            for row in part { fold.add(row.trade, id: row.id) }
            return fold
        }
        // (a + b) + c, a + (b + c), (c + b) + a: what is in brackets is added up in memory.
        var results: [[[String]]] = []
        for (first, second) in [([0], [1, 2]), ([0, 1], [2]), ([2, 1], [0]), ([2], [1, 0]), ([1], [0, 2])] {
            let tables = try await TradeTables()
            var connection = try tables.database.connect()
            for group in [first, second] {
                for grain in Grain.allCases {
                    var sums: [RollupKey: Rollup] = [:]
                    for index in group {
                        for (key, rollup) in parts[index].rollups(of: grain) where sums[key]?.add(rollup) == nil {
                            sums[key] = rollup
                        }
                    }
                    try RollupMerge(repeats: .count).merge(
                        sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, into: grain, &connection)
                }
            }
            results.append(try tables.rollups())
        }
        #expect(results[0].count > 20)
        #expect(results.allSatisfy { $0 == results[0] })
    }

    @Test func `a window that had repeats both counted and left out says so, whichever came first`() async throws {
        let tables = try await TradeTables()
        var random = SplitMix64(seed: 1)
        func trade(_ symbol: String, _ offset: Int64, repeats: Int32) -> StoredTrade {
            let one = Decimal(coefficient: 1, scale: 0)
            return StoredTrade(
                trade: Trade(
                    symbol: ShortText(symbol)!, price: one, volume: one, time: Timestamp(milliseconds: 0),
                    conditions: .empty), partition: 0, offset: offset, repeats: repeats)
        }
        try tables.count([trade("A", 0, repeats: 0), trade("B", 1, repeats: 1)], .count, &random)
        try tables.count([trade("C", 2, repeats: 0), trade("C", 3, repeats: 1)], .ignore, &random)
        func states() throws -> [[String]] {
            try Grain.allCases.flatMap {
                try tables.database.rows("SELECT symbol, repeats, trades FROM trade_rollup_\($0.rawValue) ORDER BY 1")
            }
        }
        let pure = [["A", "count", "1"], ["B", "count", "1"], ["C", "ignore", "1"]]
        #expect(try states() == pure + pure + pure)
        // A is added to, of B one is left out, and one of a window that has no row; C is counted.
        try tables.count(
            [trade("A", 4, repeats: 0), trade("B", 5, repeats: 1), trade("D", 6, repeats: 1)], .ignore, &random)
        try tables.count([trade("C", 7, repeats: 1)], .count, &random)
        let mixed = [["A", "mixed", "2"], ["B", "mixed", "1"], ["C", "mixed", "2"]]
        #expect(try states() == mixed + mixed + mixed)
    }
}
