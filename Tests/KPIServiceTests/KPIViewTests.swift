import DatabaseTestSupport
import Postgres
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct KPIViewTests {
    private static let views = [
        "average_volume_per_symbol", "rate_of_transaction", "symbol_count_per_30s", "median_process_time_table",
        "\"time\"", "stockevents", "latency_1m", "latency_1h", "candle_1s", "candle_1m", "candle_1h",
        "symbol_staleness", "traded_symbol",
    ]

    @Test func `on an empty database every view gives no rows and no error`() async throws {
        let database = try await TestDatabase()
        for view in Self.views { #expect(try database.rows("SELECT * FROM \(view)").isEmpty, "\(view)") }
    }

    @Test(arguments: [1, 2, 3])
    func `a threshold is above zero, and windows are whole seconds of a day at most`(id: Int) async throws {
        let database = try await TestDatabase()
        let always = ["0", "-1", "'NaN'", "'Infinity'", "NULL"]
        for value in id == 1 ? always : always + ["0.5", "30.5", "86401"] {
            #expect("value \(value)") {
                try database.execute("UPDATE threshold SET value = \(value) WHERE id = \(id)")
            } throws: { error in
                ["23514", "23502"].contains((error as? PostgresError)?.sqlState)
            }
        }
        for value in ["1", "86400", "7.0"] {
            try database.execute("UPDATE threshold SET value = \(value) WHERE id = \(id)")
        }
        #expect(try database.rows("SELECT id FROM threshold WHERE kind IS NULL ORDER BY id") == [["1"], ["2"], ["3"]])
    }

    @Test func `where nothing but changes of price came, there is no VWAP and all else is right`() async throws {
        let database = try await TestDatabase()
        var connection = try database.connect()
        var fold = RollupFold()
        for (id, price) in [150, 155, 151].enumerated() {
            fold.add(
                Trade(
                    symbol: ShortText("EUR")!, price: Decimal(coefficient: Int128(price), scale: 2), volume: .zero,
                    time: Timestamp(milliseconds: Int64(id) * 400), conditions: .empty), id: Int64(id))
        }
        for grain in Grain.allCases {
            try RollupMerge(repeats: .count).merge(fold.rollups(of: grain), into: grain, &connection)
        }
        #expect(
            try database.rows(
                """
                SELECT symbol, trades, total_volume, average_volume = 0, average_price = 1.52, minimum_price,
                    maximum_price, vwap FROM average_volume_per_symbol
                """) == [["EUR", "3", "0", "t", "t", "1.5", "1.55", "NULL"]])
    }

    @Test func `a changed threshold counts from the next read on, for the past too`() async throws {
        let database = try await TestDatabase()
        var connection = try database.connect()
        var fold = RollupFold()
        // Seconds 0, 10, 20 and 40, of symbols that differ.
        for (id, (symbol, second)) in [("A", 0), ("B", 10), ("A", 20), ("C", 40)].enumerated() {
            fold.add(
                Trade(
                    symbol: ShortText(symbol)!, price: Decimal(coefficient: 1, scale: 0), volume: .zero,
                    time: Timestamp(milliseconds: Int64(second) * 1000), conditions: .empty), id: Int64(id))
        }
        try RollupMerge(repeats: .count).merge(fold.rollups(of: .second), into: .second, &connection)
        let windows = """
            SELECT extract(epoch FROM window_start)::int, symbols, missing, complete, symbols_seen
            FROM symbol_count_per_30s ORDER BY 1
            """
        #expect(try database.rows(windows) == [["0", "2", "2", "f", "A, B"], ["30", "1", "3", "f", "C"]])
        try database.execute(
            "UPDATE threshold SET value = 2 WHERE id = 1; UPDATE threshold SET value = 60 WHERE id = 2")
        #expect(try database.rows(windows) == [["0", "3", "0", "t", "A, B, C"]])

        let rates = """
            SELECT extract(epoch FROM window_start)::int, trades, trim_scale(trades_per_second)
            FROM rate_of_transaction ORDER BY 1
            """
        #expect(
            try database.rows(rates) == [["0", "1", "1"], ["10", "1", "1"], ["20", "1", "1"], ["40", "1", "1"]])
        try database.execute("UPDATE threshold SET value = 20 WHERE id = 3")
        #expect(try database.rows(rates) == [["0", "2", "0.1"], ["20", "1", "0.05"], ["40", "1", "0.05"]])
    }
}
