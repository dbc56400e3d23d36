import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct RebuildTests {
    private static let empty = "DELETE FROM trade_rollup_1s; DELETE FROM trade_rollup_1m; DELETE FROM trade_rollup_1h"

    @Test(arguments: 1...3 as ClosedRange<UInt64>, RepeatRule.allCases)
    func `rollups made anew equal those that were kept, digit for digit`(seed: UInt64, rule: RepeatRule) async throws {
        let tables = try await TradeTables()
        try tables.fill(TradeTables.trades(600, seed: seed), rule)
        let kept = try tables.rollups()
        let again = try tables.rebuild(repeats: rule)
        #expect(again.map(\.changed).reduce(0, +) == 0)
        #expect(again.map(\.windows).reduce(0, +) == kept.count)
        try tables.database.execute(
            """
            DELETE FROM trade_rollup_1s WHERE symbol = 'AAPL';
            UPDATE trade_rollup_1m SET volume = volume * 1.0, trades = trades + 1;
            UPDATE trade_rollup_1h SET symbol = symbol || '?' WHERE symbol = 'AAPL'
            """)
        let mended = try tables.rebuild(repeats: rule)
        #expect(try tables.rollups() == kept)
        #expect(mended.map(\.changed).reduce(0, +) > 20)
        try tables.database.execute(Self.empty)
        try tables.rebuild(repeats: rule)
        #expect(try tables.rollups() == kept)
    }

    @Test func `rollups made anew follow the setting, and rows of both ways are mended`() async throws {
        let tables = try await TradeTables()
        let trades = TradeTables.trades(300, seed: 9)
        try tables.fill(trades)
        let counted = try tables.rollups()
        try tables.rebuild(repeats: .ignore)
        let ignored = try tables.rollups()
        #expect(ignored != counted)
        #expect(try tables.verify(repeats: .ignore).lines == [])
        try tables.rebuild()
        #expect(try tables.rollups() == counted)

        let later = (0..<200).map {
            StoredTrade(trade: trades[$0].trade, partition: 0, offset: 1000 + Int64($0), repeats: 1)
        }
        var random = SplitMix64(seed: 2)
        try tables.store(later)
        try tables.count(later, .ignore, &random)
        for reader in ["consumer", "kpi-service"] { try tables.move(reader, behind: later) }
        let lines = try tables.verify(repeats: .ignore).lines
        #expect(lines.contains { $0.contains("repeats is mixed and should be ignore") }, "\(lines)")
        try tables.rebuild(repeats: .ignore)
        #expect(try tables.verify(repeats: .ignore).lines == [])
    }

    @Test func `only whole hours that were asked for are touched`() async throws {
        let tables = try await TradeTables()
        try tables.fill(TradeTables.trades(300, seed: 3))
        try tables.database.execute("UPDATE trade_rollup_1h SET trades = trades + 1")
        let hour = try HourRange(from: Timestamp("2024-07-21T10:30:00Z"), to: Timestamp("2024-07-21T10:31:00Z"))
        #expect("\(hour)" == "2024-07-21T10:00:00.000000Z to 2024-07-21T11:00:00.000000Z")
        let done = try tables.rebuild(hour)
        #expect(done.map { "\($0.hour)" } == ["2024-07-21T10:00:00.000000Z"])
        #expect(try tables.verify(hour).lines.filter { !$0.contains("not compared") } == [])
        let others = try tables.verify().lines.filter { $0.hasPrefix("trade_rollup_1h") }
        #expect(!others.isEmpty && others.allSatisfy { !$0.contains("window_start=2024-07-21 10:00") }, "\(others)")
    }

    @Test func `while the consumer is behind, rollups stay as they are and the error names the place`() async throws {
        let tables = try await TradeTables()
        try tables.fill(TradeTables.trades(100, seed: 4))
        try tables.database.execute(
            "\(Self.empty); UPDATE offset_ledger SET next_offset = 2 WHERE reader = 'consumer' AND partition = 2")
        var limits = Rebuild.Limits()
        (limits.patience, limits.catchUp) = (.milliseconds(300), .milliseconds(50))
        let error = #expect(throws: RebuildError.self) { try tables.rebuild(limits: limits) }
        #expect("\(error!)".hasPrefix("trades [2], generation 1: kpi-service has counted up to "))
        #expect("\(error!)".contains("consumer has stored 2: "))
        #expect(try tables.rollups().isEmpty)
    }

    @Test func `without positions of kpi-service nothing is known, and nothing is touched`() async throws {
        let tables = try await TradeTables()
        try tables.fill(TradeTables.trades(50, seed: 5))
        try tables.database.execute("DELETE FROM offset_ledger WHERE reader = 'kpi-service'")
        #expect(throws: RebuildError.self) { try tables.rebuild() }
        #expect(try !tables.rollups().isEmpty)
    }

    @Test func `an hour that takes too long is left as it was`() async throws {
        let tables = try await TradeTables()
        try tables.fill(TradeTables.trades(200, seed: 6))
        try tables.database.execute("UPDATE trade_rollup_1h SET trades = 7")
        let before = try tables.rollups()
        var limits = Rebuild.Limits()
        limits.hold = .milliseconds(1)
        let error = #expect(throws: RebuildError.self) { try tables.rebuild(limits: limits) }
        #expect("\(error!)".contains("--hold"))
        #expect(try tables.rollups() == before)
    }

    /// After a reset both readers go on in a second generation; the KPI service was behind, and counts what comes again under
    /// other ids than those of the rows.
    @Test func `what was counted after readers were moved back counts in its rows of the generation before`()
        async throws
    {
        let tables = try await TradeTables()
        let trades = (0..<40).map {
            StoredTrade(
                trade: Trade(
                    symbol: ShortText("A")!, price: Decimal(coefficient: Int128($0 + 1), scale: 1), volume: .zero,
                    time: Timestamp(milliseconds: Int64($0) * 300), conditions: .empty), partition: 0, offset: Int64($0)
            )
        }
        try tables.store(trades)
        try tables.move("consumer", behind: trades)
        try tables.move("kpi-service", behind: Array(trades[..<15]))
        // The consumer has skipped all that it had; the KPI service has come to the 30th trade, whose number is three times that.
        try tables.database.execute(
            """
            INSERT INTO topic_log (log_id, cluster_id, topic, generation) VALUES (2, 'cluster', 'trades', 2);
            INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
                VALUES ('consumer', 2, 0, 1, 40, 1), ('kpi-service', 2, 0, 1, 30, 1);
            INSERT INTO source_position VALUES ('consumer', 2, 0, 'one', 117), ('kpi-service', 2, 0, 'one', 87)
            """)
        try tables.rebuild()
        #expect(
            try tables.database.rows("SELECT sum(trades), sum(price_sum) FROM trade_rollup_1s") == [["30", "46.5"]])
        let (lines, result) = try tables.verify()
        #expect(lines == [])
        #expect(result.unread == 10)
        try tables.database.execute("UPDATE source_position SET sequence = 60 WHERE reader = 'consumer'")
        var limits = Rebuild.Limits()
        (limits.patience, limits.catchUp) = (.milliseconds(100), .milliseconds(20))
        let error = #expect(throws: RebuildError.self) { try tables.rebuild(limits: limits) }
        #expect("\(error!)".contains("kpi-service has counted one up to 87, consumer has stored 60"), "\(error!)")
    }

    @Test func `members that count meanwhile lose nothing, and no reader ever sees anything else than a whole`()
        async throws
    {
        let tables = try await TradeTables()
        let trades = TradeTables.trades(1500, seed: 8)
        try tables.store(trades)
        try tables.move("consumer", behind: trades)
        try await onThread {
            let members = (0..<TradeTables.partitions).map { partition in
                Worker { try Self.serve(trades.filter { $0.partition == partition }, partition, tables.database) }
            }
            let reader = Worker { () -> Int in
                var connection = try tables.database.connect()
                var (last, looks) = (0, 0)
                while !members.allSatisfy(\.isOver) {
                    let sums = try connection.query(
                        """
                        SELECT (SELECT coalesce(sum(trades), 0) FROM trade_rollup_1s),
                            (SELECT coalesce(sum(trades), 0) FROM trade_rollup_1m),
                            (SELECT coalesce(sum(trades), 0) FROM trade_rollup_1h)
                        """)
                    let (seconds, minutes, hours) = (sums.int64(0, 0)!, sums.int64(0, 1)!, sums.int64(0, 2)!)
                    guard seconds == minutes, minutes == hours, seconds >= last else {
                        throw TestFailure("a reader has seen \(seconds), \(minutes) and \(hours) after \(last)")
                    }
                    (last, looks) = (Int(seconds), looks + 1)
                }
                return looks
            }
            var runs = 0
            while !members.allSatisfy(\.isOver) {
                try tables.rebuild()
                runs += 1
            }
            for member in members { _ = try member.value() }
            #expect(try reader.value() > 10)
            #expect(runs > 1)
        }
        let (lines, result) = try tables.verify()
        #expect(lines == [])
        #expect(result.unread == 0)
        #expect(try tables.database.value("SELECT sum(trades) FROM trade_rollup_1h") == "1500")
    }

    /// Counts a partition's trades as a member of the group does: with the position, in small transactions.
    private static func serve(_ trades: [StoredTrade], _ partition: Int32, _ database: TestDatabase) throws {
        var connection = try database.connect()
        let merge = RollupMerge(repeats: .count)
        var fold = RollupFold()
        for start in stride(from: 0, to: trades.count, by: 5) {
            let batch = trades[start..<min(start + 5, trades.count)]
            fold.reset()
            for row in batch { fold.add(row.trade, id: row.id) }
            try connection.begin()
            for grain in Grain.allCases { try merge.merge(fold.rollups(of: grain), into: grain, &connection) }
            try connection.execute(
                """
                UPDATE offset_ledger SET next_offset = \(batch.last!.offset + 1)
                WHERE reader = 'kpi-service' AND partition = \(partition)
                """)
            try connection.commit()
        }
    }

    @Test(arguments: [
        ("2026-08-28", "2026-08-28T15:00:00.000001Z", "2026-08-28T00:00:00.000000Z to 2026-08-28T16:00:00.000000Z"),
        (
            "2026-08-28T14:59:59.999999+01:00", "2026-08-29",
            "2026-08-28T13:00:00.000000Z to 2026-08-29T00:00:00.000000Z"
        ),
    ])
    func `a range is widened outwards to whole hours`(_ from: String, _ to: String, _ hours: String) throws {
        let range = try HourRange(
            from: #require(Moment(settingText: from)).time, to: #require(Moment(settingText: to)).time)
        #expect("\(range)" == hours)
    }

    @Test(arguments: ["", "now", "2026-13-01", "2026-08-28T15:00:00", "28.08.2026", "1787931336"])
    func `what is no moment is refused`(_ text: String) {
        #expect(Moment(settingText: text) == nil)
    }
}
