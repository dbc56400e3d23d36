import DatabaseTestSupport
import Postgres
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct VerificationTests {
    /// Trades of two symbols over two hours, some in the same second.
    private static func tables() async throws -> TradeTables {
        let tables = try await TradeTables()
        let trades = (0..<60).map { (number: Int) -> StoredTrade in
            let symbol = ShortText(number % 3 == 0 ? "A" : "B")!
            let price = Decimal(coefficient: Int128(1000 + number % 7), scale: 2)
            let volume = Decimal(coefficient: Int128(number), scale: 1)
            let time = Timestamp(milliseconds: 1_721_555_886_000 + Int64(number) * 70_500)
            let trade = Trade(symbol: symbol, price: price, volume: volume, time: time, conditions: .empty)
            return StoredTrade(trade: trade, partition: Int32(number % 3), offset: Int64(number / 3))
        }
        try tables.fill(trades)
        return tables
    }

    @Test func `what was counted as it should be has no differences`() async throws {
        let tables = try await Self.tables()
        let (lines, result) = try tables.verify()
        #expect(lines == [])
        #expect(result.differences == 0)
        #expect(result.unread == 0)
        // Rollups of three grains, and the views.
        #expect(result.checked > 60 + 60 + 4)
    }

    /// What is spoiled, and the names of all that must differ.
    static let faults: [(sql: String, tables: [String])] = [
        (
            "UPDATE trade_rollup_1s SET volume = volume + 0.0000000000000001 WHERE ctid = '(0,1)'",
            ["trade_rollup_1s"]
        ),
        ("UPDATE trade_rollup_1s SET notional = notional + 0.0000000 WHERE ctid = '(0,1)'", ["trade_rollup_1s"]),
        ("UPDATE trade_rollup_1m SET close_id = close_id + 1 WHERE ctid = '(0,1)'", ["trade_rollup_1m"]),
        (
            "UPDATE trade_rollup_1h SET price_sum = price_sum - 0.01 WHERE ctid = '(0,1)'",
            ["average_volume_per_symbol", "trade_rollup_1h"]
        ),
        ("DELETE FROM trade_rollup_1m WHERE ctid = '(0,1)'", ["trade_rollup_1m"]),
        (
            "INSERT INTO trade_rollup_1h SELECT 'C', window_start, 1, 1, 1, 1, 1, open_time, 1, 1, 1, 1, close_time, 1, "
                + "'count' FROM trade_rollup_1h LIMIT 1", ["average_volume_per_symbol", "trade_rollup_1h"]
        ),
        ("UPDATE trade_rollup_1s SET repeats = 'mixed' WHERE ctid = '(0,1)'", ["trade_rollup_1s"]),
        (
            "DELETE FROM trade_rollup_1s WHERE ctid = '(0,1)'",
            ["rate_of_transaction", "symbol_count_per_30s", "trade_rollup_1s"]
        ),
        (
            "DELETE FROM trade_data_finhub WHERE sequence = 7",
            [
                "average_volume_per_symbol", "rate_of_transaction",
                "symbol_count_per_30s", "trade_rollup_1h", "trade_rollup_1m", "trade_rollup_1s",
            ]
        ),
        (
            """
            INSERT INTO trade_data_finhub
            SELECT id - 1, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer, to_db, kafka_partition,
                kafka_offset, source, sequence, repeat FROM trade_data_finhub WHERE sequence = 7
            """,
            [
                "average_volume_per_symbol", "rate_of_transaction",
                "trade_data_finhub", "trade_rollup_1h", "trade_rollup_1m", "trade_rollup_1s",
            ]
        ),
    ]

    @Test(arguments: faults)
    func `whatever is spoiled is found, and named`(_ sql: String, _ names: [String]) async throws {
        let tables = try await Self.tables()
        try tables.database.execute(sql)
        let (lines, result) = try tables.verify()
        #expect(Set(lines.map { String($0.prefix { $0 != ":" }) }).sorted() == names)
        #expect(result.differences >= names.count)
        // And is mended, unless it is the raw table that is wrong.
        try tables.rebuild()
        #expect(try tables.verify().lines.allSatisfy { $0.hasPrefix("trade_data_finhub:") })
    }

    @Test func `a view that was changed is found, although its rollups are right`() async throws {
        let tables = try await Self.tables()
        let definition = try tables.database.value("SELECT pg_get_viewdef('candle_1m'::regclass)")
        try tables.database.execute(
            "CREATE OR REPLACE VIEW candle_1m AS \(definition.replacing("price_sum /", with: "price_sum * 2::numeric /"))"
        )
        let (lines, result) = try tables.verify()
        #expect(result.differences > 0)
        #expect(lines.allSatisfy { $0.hasPrefix("trade_rollup_1m: ") }, "\(lines)")
        #expect(lines[0].contains(": candle_1m is ("))
        #expect(lines[0].contains(") and should be ("))
        #expect(!lines[0].contains("volume is"))
    }

    @Test func `of many differences the first are told, and all are counted`() async throws {
        let tables = try await Self.tables()
        try tables.database.execute("UPDATE trade_rollup_1s SET trades = trades + 1")
        let (lines, result) = try tables.verify(telling: 3)
        let seconds = lines.filter { $0.hasPrefix("trade_rollup_1s: ") }
        let count = try tables.database.value("SELECT count(*) FROM trade_rollup_1s")
        #expect(seconds.count == 4)
        #expect(seconds.last == "trade_rollup_1s: \(Int(count)! - 3) more")
        #expect(seconds[0].contains("trades is 2 and should be 1"))
        #expect(result.differences >= Int(count)!)
    }

    @Test func `trades that kpi-service has not read are unread and no difference`() async throws {
        let tables = try await Self.tables()
        let more = (0..<5).map { number in
            StoredTrade(
                trade: Trade(
                    symbol: ShortText("A")!, price: Decimal(coefficient: 1, scale: 0), volume: .zero,
                    time: Timestamp(milliseconds: 1_721_555_886_000), conditions: .empty),
                partition: 0, offset: 20 + Int64(number))
        }
        try tables.store(more)
        try tables.move("consumer", behind: more)
        let (lines, result) = try tables.verify()
        #expect(lines == [])
        #expect(result.unread == 5)
    }

    @Test func `where the consumer is behind for good, nothing is compared`() async throws {
        let tables = try await Self.tables()
        try tables.database.execute(
            "UPDATE offset_ledger SET next_offset = 3 WHERE reader = 'consumer' AND partition = 1")
        let error = #expect(throws: VerificationError.self) { _ = try tables.verify() }
        #expect("\(error!)".contains("trades [1]: kpi-service is at 20, consumer at 3"))
    }

    @Test func `a trade that only the database has refused counts, and is compared`() async throws {
        let tables = try await Self.tables()
        let json =
            #"{"s":"B","p":1e-7,"t":1721555886000,"v":1.50,"c":["\u0000"],"src":"one","seq":900,"to_kafka":"2024-07-21T09:58:06Z"}"#
        let refused = StoredTrade(
            trade: Trade(
                symbol: ShortText("B")!, price: Decimal(coefficient: 1, scale: 7),
                volume: Decimal(coefficient: 150, scale: 2), time: Timestamp(milliseconds: 1_721_555_886_000),
                conditions: .empty), partition: 0, offset: 20)
        var connection = try tables.database.connect()
        for (offset, payload, reason) in [(20, json, "refused_by_database"), (21, "nonsense", "malformed_json")] {
            try connection.execute(
                """
                INSERT INTO rejected_trade VALUES ($1, 'trades', 0, $2, $3, $4, now())
                """,
                parameters: [
                    .integer(refused.id + Int64(offset) - 20), .integer(Int64(offset)), .text(reason),
                    .bytes(Array(payload.utf8)),
                ])
        }
        try tables.database.execute("UPDATE offset_ledger SET next_offset = 22 WHERE partition = 0")
        // It is not counted yet.
        #expect(try tables.verify().lines.contains { $0.hasPrefix("trade_rollup_1s: symbol=B") })
        var random = SplitMix64(seed: 1)
        try tables.count([refused], .count, &random)
        #expect(try tables.verify().lines == [])
        let counted = try tables.rollups()
        try tables.database.execute(
            "DELETE FROM trade_rollup_1s; DELETE FROM trade_rollup_1m; DELETE FROM trade_rollup_1h")
        try tables.rebuild()
        #expect(try tables.rollups() == counted)
    }

    @Test func `rollups of one grain that are deleted by the day are left out, and the others are not`() async throws {
        let tables = try await Self.tables()
        try tables.database.execute(
            "DELETE FROM trade_rollup_1s; INSERT INTO forgotten_day VALUES ('trade_rollup_1s', '2024-07-21')")
        #expect(try tables.verify().lines == [])
        try tables.database.execute("DELETE FROM trade_rollup_1m WHERE ctid = '(0,1)'")
        let lines = try tables.verify().lines
        #expect(lines.map { $0.prefix { $0 != ":" } } == ["trade_rollup_1m"], "\(lines)")
    }

    @Test func `days that retention has taken are left out`() async throws {
        let tables = try await Self.tables()
        let dropped = try tables.database.value(
            "SELECT tickstream_trim_default('trade_data_finhub', '2024-07-22', 1000)")
        #expect(dropped == "60")
        let (lines, result) = try tables.verify()
        #expect(result.differences == 0)
        #expect(lines.allSatisfy { $0.contains("not compared") }, "\(lines)")
        let error = #expect(throws: RebuildError.self) { try tables.rebuild() }
        #expect("\(error!)".contains("trades are gone of 1 days from 2024-07-21 to 2024-07-21"))
    }
}
