import DatabaseTestSupport
import Foundation
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct RollupMergeTests {
    /// Inserts the trades as the consumer does.
    private static func insert(_ rows: [Row], _ connection: inout PostgresConnection) throws {
        var buffer = CopyBuffer()
        for row in rows {
            buffer.beginRow(columns: 6)
            buffer.fields.int8(row.id)
            row.trade.symbol.withBytes { buffer.fields.bytes($0) }
            try buffer.fields.numeric(row.trade.price)
            try buffer.fields.timestamptz(row.trade.time)
            try buffer.fields.numeric(row.trade.volume)
            buffer.fields.int4(0)
            buffer.endRow()
        }
        try connection.execute(
            """
            ALTER TABLE trade_data_finhub ALTER to_kafka SET DEFAULT now(), ALTER to_consumer SET DEFAULT now(),
                ALTER to_db SET DEFAULT now(), ALTER kafka_offset SET DEFAULT 0, ALTER source SET DEFAULT 'test',
                ALTER sequence SET DEFAULT 0, ALTER repeat SET DEFAULT 0
            """)
        try connection.copyIn(
            """
            COPY trade_data_finhub (id, symbol, price, "timestamp", volume, kafka_partition)
            FROM STDIN (FORMAT binary)
            """, rows: buffer)
    }

    /// Merges the trades in batches of any size, each in a transaction.
    private static func merge(
        _ rows: [Row], _ connection: inout PostgresConnection, _ random: inout SplitMix64
    ) throws {
        let merge = RollupMerge(repeats: .count)
        var rest = rows[...]
        var fold = RollupFold()
        while !rest.isEmpty {
            fold.reset()
            let size = Int.random(in: 1...60, using: &random)
            for row in rest.prefix(size) { fold.add(row.trade, id: row.id) }
            rest = rest.dropFirst(size)
            try connection.begin()
            for grain in Grain.allCases { try merge.merge(fold.rollups(of: grain), into: grain, &connection) }
            try connection.commit()
        }
    }

    /// The rows in which a rollup table and plain SQL over the trades differ, digits and places included.
    private static func differences(_ grain: Grain, _ database: TestDatabase) throws -> [[String]] {
        let length =
            switch grain {
            case .second: "1 second"
            case .minute: "1 minute"
            case .hour: "1 hour"
            }
        return try database.rows(
            """
            WITH plain AS (
                SELECT symbol, date_bin('\(length)', "timestamp", 'epoch') AS window_start, count(*) AS trades,
                    sum(volume)::text AS volume, sum(price)::text AS price_sum, sum(price * volume)::text AS notional,
                    (array_agg(price ORDER BY "timestamp", id))[1]::text AS open,
                    min("timestamp") AS open_time, (array_agg(id ORDER BY "timestamp", id))[1] AS open_id,
                    trim_scale(max(price))::text AS high, trim_scale(min(price))::text AS low,
                    (array_agg(price ORDER BY "timestamp" DESC, id DESC))[1]::text AS close,
                    max("timestamp") AS close_time, (array_agg(id ORDER BY "timestamp" DESC, id DESC))[1] AS close_id
                FROM trade_data_finhub GROUP BY 1, 2
            ), kept AS (
                SELECT symbol, window_start, trades, volume::text, price_sum::text, notional::text, open::text,
                    open_time, open_id, high::text, low::text, close::text, close_time, close_id
                FROM trade_rollup_\(grain.rawValue)
            )
            (SELECT 'missing', * FROM plain EXCEPT SELECT 'missing', * FROM kept)
            UNION ALL (SELECT 'wrong', * FROM kept EXCEPT SELECT 'wrong', * FROM plain)
            """)
    }

    private static func expectEqualTables(_ database: TestDatabase) throws {
        for grain in Grain.allCases {
            #expect(try database.rows("SELECT count(*) > 0 FROM trade_rollup_\(grain.rawValue)") == [["t"]])
            #expect(try differences(grain, database).isEmpty, "\(grain)")
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `rollups merged in any batches equal plain SQL over the trades`(seed: UInt64) async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: seed)
        let trades = randomTrades(1500, seed: seed &+ 100).shuffled(using: &random)
        var connection = try database.connect()
        try Self.insert(trades, &connection)
        try Self.merge(trades, &connection, &random)
        try Self.expectEqualTables(database)
    }

    @Test func `a late trade changes its own window and no other`() async throws {
        let database = try await TestDatabase()
        var random = SplitMix64(seed: 7)
        var connection = try database.connect()
        var trades = randomTrades(400, seed: 7).sorted { $0.trade.time < $1.trade.time }
        let late = trades.removeFirst()
        try Self.merge(trades, &connection, &random)
        let all = "SELECT symbol, window_start, xmin::text, trades FROM trade_rollup_1s"
        let before = Set(try database.rows(all))
        try Self.merge([late], &connection, &random)
        let changed = Set(try database.rows(all)).subtracting(before)
        #expect(changed.count == 1)
        #expect(changed.first?.first == "\(late.trade.symbol)")
        try Self.insert(trades + [late], &connection)
        try Self.expectEqualTables(database)
    }

    @Test func `four members that merge the same windows neither wait in a circle nor lose anything`() async throws {
        let database = try await TestDatabase()
        let trades = randomTrades(2000, seed: 11)
        var connection = try database.connect()
        try Self.insert(trades, &connection)
        let failures: [String] = await withTaskGroup(of: String?.self) { group in
            for member in 0..<4 {
                let part = trades.enumerated().filter { $0.offset % 4 == member }.map(\.element)
                group.addTask {
                    await withCheckedContinuation { continuation in
                        Thread.detachNewThread {
                            do {
                                var connection = try database.connect()
                                var random = SplitMix64(seed: UInt64(member))
                                try Self.merge(part.shuffled(using: &random), &connection, &random)
                                continuation.resume(returning: nil)
                            } catch {
                                continuation.resume(returning: "\(error)")
                            }
                        }
                    }
                }
            }
            var failures: [String] = []
            for await failure in group { if let failure { failures.append(failure) } }
            return failures
        }
        #expect(failures == [])
        try Self.expectEqualTables(database)
    }

    @Test func `merging nothing changes nothing`() async throws {
        let database = try await TestDatabase()
        var connection = try database.connect()
        try RollupMerge(repeats: .count).merge([], into: .second, &connection)
        #expect(try database.rows("SELECT * FROM trade_rollup_1s").isEmpty)
    }
}
