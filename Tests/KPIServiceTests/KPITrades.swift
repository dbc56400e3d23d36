import DatabaseTestSupport
import ExactlyOnce
import Postgres
import TestSupport
import TradeModel

@testable import KPIService

/// 2024-07-19 09:59:20 UTC.
let kpiStart = Timestamp(milliseconds: 1_721_383_160_000)

/// Trades of two partitions in some minutes around a full hour, most of them dense and some late, odd or to come; with
/// volumes of nothing and tiny prices.
func kpiTrades(_ count: Int, seed: UInt64) -> [Row] {
    var random = SplitMix64(seed: seed)
    let symbols = ["AAPL", "BINANCE:BTCUSDT", "EUR", "b", "é"].map { ShortText($0)! }
    return (0..<count).map { index in
        var time = kpiStart.milliseconds + Int64(random.below(300_000))
        switch random.below(60) {
        case 0: time -= Int64(random.below(3)) * 86_400_000 + 7_200_000
        case 1: time += 3_600_000
        case 2: time = random.pick([0, 999, 1_000, 4_102_444_800_123])
        default: break
        }
        // The last symbol trades seldom.
        let symbol = random.oneIn(40) ? symbols[4] : symbols[random.below(4)]
        let price =
            random.oneIn(10)
            ? Decimal(coefficient: 1, scale: 7)
            : Decimal(coefficient: Int128(1 + random.below(99_999)), scale: UInt8(random.below(6)))
        let volume = random.oneIn(8) ? Decimal.zero : Decimal(coefficient: Int128(1 + random.below(5000)), scale: 2)
        let trade = Trade(
            symbol: symbol, price: price, volume: volume, time: Timestamp(milliseconds: time), conditions: .empty)
        return (trade, RowID.of(log: 1, partition: Int32(index % 2), offset: Int64(index)))
    }
}

extension TestDatabase {
    /// Stores trades as both readers do: the rows, and the rollups that are made of them.
    func store(_ rows: [Row]) throws {
        var connection = try connect()
        let values = rows.map { trade, id in
            """
            (\(id), '\(trade.symbol)', \(trade.price), '\(trade.time)', \(trade.volume), now(), now(), now(),
                \(id >> 40 & 2047), \(id & 0xFFFF_FFFF), 'tests', 0, 0)
            """
        }
        try connection.execute(
            """
            INSERT INTO trade_data_finhub (id, symbol, price, "timestamp", volume, to_kafka, to_consumer, to_db,
                kafka_partition, kafka_offset, source, sequence, repeat) VALUES
            \(values.joined(separator: ","))
            """)
        let merge = RollupMerge(repeats: .count)
        for start in stride(from: 0, to: rows.count, by: 500) {
            var fold = RollupFold()
            for row in rows[start..<min(start + 500, rows.count)] { fold.add(row.trade, id: row.id) }
            for grain in Grain.allCases { try merge.merge(fold.rollups(of: grain), into: grain, &connection) }
        }
    }

    func setThresholds(_ values: [Int]) throws {
        for (index, value) in values.enumerated() {
            try execute("UPDATE threshold SET value = \(value) WHERE id = \(index + 1)")
        }
    }

    /// What one query gives and the other does not, either way round.
    func differences(_ kept: String, _ plain: String) throws -> [[String]] {
        try rows(
            """
            WITH kept AS MATERIALIZED (\(kept)), plain AS MATERIALIZED (\(plain))
            (SELECT 'kept', r::text FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM plain) AS r)
            UNION ALL (SELECT 'plain', r::text FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM kept) AS r)
            """)
    }
}
