import DatabaseTestSupport
import ExactlyOnce
import Postgres
import TestSupport
import TradeModel

@testable import KPIService

/// A trade as it stands in a partition of the topic.
struct StoredTrade {
    var trade: Trade
    var partition: Int32
    var offset: Int64
    var repeats: Int32 = 0
    var log: Int32 = 1

    var id: Int64 { RowID.of(log: log, partition: partition, offset: offset) }
}

/// A database in which trades are stored and counted, with the positions of both readers in one log of three partitions.
struct TradeTables {
    static let partitions: Int32 = 3
    /// From the first to the last hour that a trade can be of.
    static let always = try! HourRange(from: nil, to: Timestamp("9999-12-31T23:59:59Z"))

    let database: TestDatabase

    init() async throws {
        database = try await TestDatabase()
        try database.execute(
            """
            INSERT INTO topic_log (log_id, cluster_id, topic) VALUES (1, 'cluster', 'trades');
            INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
            SELECT reader, 1, partition, 1, 0, 1
            FROM unnest(ARRAY['consumer', 'kpi-service']) AS reader, generate_series(0, \(Self.partitions - 1)) AS partition
            """)
    }

    /// Random trades spread over the partitions, each fourth a repeat.
    static func trades(_ count: Int, seed: UInt64) -> [StoredTrade] {
        var random = SplitMix64(seed: seed &+ 7)
        var ends = [Int64](repeating: 0, count: Int(partitions))
        return randomTrades(count, seed: seed).map { row in
            let partition = random.below(Int(partitions))
            ends[partition] += 1
            return StoredTrade(
                trade: row.trade, partition: Int32(partition), offset: ends[partition] - 1,
                repeats: random.oneIn(4) ? 1 : 0)
        }
    }

    /// Stores trades as the consumer does.
    func store(_ trades: [StoredTrade], source: String = "one") throws {
        var buffer = CopyBuffer()
        for row in trades {
            buffer.beginRow(columns: 10)
            buffer.fields.int8(row.id)
            row.trade.symbol.withBytes { buffer.fields.bytes($0) }
            try buffer.fields.numeric(row.trade.price)
            try buffer.fields.timestamptz(row.trade.time)
            try buffer.fields.numeric(row.trade.volume)
            buffer.fields.int4(row.partition)
            buffer.fields.int8(row.offset)
            buffer.fields.text(source)
            // Numbers rise with the offsets within a partition, and no two are the same.
            buffer.fields.int8(row.offset * Int64(Self.partitions) + Int64(row.partition))
            buffer.fields.int4(row.repeats)
            buffer.endRow()
        }
        var connection = try database.connect()
        try connection.execute(
            """
            ALTER TABLE trade_data_finhub ALTER to_kafka SET DEFAULT now(), ALTER to_consumer SET DEFAULT now(),
                ALTER to_db SET DEFAULT now()
            """)
        try connection.copyIn(
            """
            COPY trade_data_finhub (id, symbol, price, "timestamp", volume, kafka_partition, kafka_offset, source, sequence,
                repeat) FROM STDIN (FORMAT binary)
            """, rows: buffer)
    }

    /// Counts trades as the KPI service does, in batches of any size, some of which are rolled back and come again in others.
    func count(
        _ trades: [StoredTrade], _ rule: RepeatRule = .count, _ random: inout SplitMix64, crashes: Bool = false
    ) throws {
        var connection = try database.connect()
        let merge = RollupMerge(repeats: rule)
        var fold = RollupFold()
        var rest = trades[...]
        while !rest.isEmpty {
            fold.reset()
            let size = 1 + random.below(60)
            for row in rest.prefix(size) {
                if row.repeats > 0, rule == .ignore { fold.omit(row.trade) } else { fold.add(row.trade, id: row.id) }
            }
            // Behind so many grains; what a crash in mid-transaction leaves is nothing.
            let crash = crashes && random.oneIn(3) ? random.below(4) : nil
            try connection.begin()
            for grain in Grain.allCases.prefix(crash ?? 3) {
                try merge.merge(fold.rollups(of: grain), into: grain, &connection)
                try merge.note(omissions: fold.omissions(of: grain), in: grain, &connection)
            }
            if crash != nil {
                try connection.rollback()
                continue
            }
            try connection.commit()
            rest = rest.dropFirst(size)
        }
    }

    /// Moves a reader behind these trades.
    func move(_ reader: String, behind trades: [StoredTrade]) throws {
        for (partition, rows) in Dictionary(grouping: trades, by: \.partition) {
            try database.execute(
                """
                UPDATE offset_ledger SET next_offset = \(rows.map(\.offset).max()! + 1)
                WHERE reader = '\(reader)' AND partition = \(partition)
                """)
        }
    }

    /// Stores and counts trades, with both positions behind them.
    func fill(_ trades: [StoredTrade], _ rule: RepeatRule = .count) throws {
        var random = SplitMix64(seed: 1)
        try store(trades)
        try count(trades.shuffled(using: &random), rule, &random)
        for reader in ["consumer", "kpi-service"] { try move(reader, behind: trades) }
    }

    /// All rollups, digit for digit.
    func rollups() throws -> [[String]] {
        try Grain.allCases.flatMap {
            try database.rows(
                "SELECT kept::text FROM trade_rollup_\($0.rawValue) AS kept ORDER BY symbol COLLATE \"C\", window_start"
            )
        }
    }

    /// What verify says: its differences, and how it closes.
    func verify(
        _ range: HourRange = always, repeats: RepeatRule = .count, telling limit: Int = 20
    ) throws -> (lines: [String], result: Verification.Result) {
        var verification = Verification(try database.connect(), range, repeats: repeats)
        verification.patience = .zero
        var lines: [String] = []
        let result = try verification.run(telling: limit) { lines.append($0) }
        return (lines, result)
    }

    @discardableResult
    func rebuild(
        _ range: HourRange = always, repeats: RepeatRule = .count, limits: Rebuild.Limits = Rebuild.Limits()
    ) throws -> [Rebuild.Hour] {
        var rebuild = Rebuild(try database.connect(), repeats: repeats, limits: limits)
        var hours: [Rebuild.Hour] = []
        try rebuild.run(range) { hours.append($0) }
        return hours
    }
}
