import DatabaseTestSupport
import Postgres
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct AlertEvaluatorTests {
    /// Has the measure of a kind be a number of its units in the next evaluation.
    private static func set(_ kind: AlertKind, to value: Int, _ rehearsal: AlertRehearsal) throws {
        let recently = Timestamp(microseconds: rehearsal.until.microseconds - 3_000_000)
        switch kind {
        case .symbolsMissing:
            try rehearsal.execute(
                "TRUNCATE trade_rollup_1s, trade_rollup_1h; UPDATE threshold SET value = 10 WHERE id = 1")
            for index in 0..<(10 - value) { try rehearsal.trade("X:\(index)", at: recently) }
            // This one lies outside of the minute.
            try rehearsal.trade("X:99", at: Timestamp(microseconds: rehearsal.until.microseconds - 61_000_000))
        case .rateBelow, .rateAbove:
            try rehearsal.execute("TRUNCATE trade_rollup_1s, trade_rollup_1m")
            for index in 0..<value { try rehearsal.trade("X:\(index)", at: recently, count: 60) }
            // These lie outside of the minute.
            try rehearsal.trade("X:0", at: Timestamp(microseconds: rehearsal.until.microseconds - 61_000_000))
            try rehearsal.trade("X:0", at: rehearsal.until)
        case .symbolStale:
            // The market of X:0 lets it rest for five minutes.
            try rehearsal.execute("TRUNCATE trade_rollup_1s, trade_rollup_1h")
            try rehearsal.trade(
                "X:0", at: Timestamp(microseconds: rehearsal.until.microseconds - Int64(value) * 300_000_000))
        case .processTimeP50, .processTimeP95:
            try rehearsal.execute("TRUNCATE ingest_batch")
            // Outside of the minute.
            try rehearsal.batch(at: Timestamp(microseconds: rehearsal.now.microseconds - 61_000_000), bucket: 2000)
            if value > 0 { try rehearsal.batch(at: rehearsal.now, bucket: value) }
        case .consumerLag, .kpiLag:
            rehearsal.ends = [(50, 100)]
            let reader = kind == .kpiLag ? "kpi-service" : "consumer"
            try rehearsal.execute(
                "UPDATE offset_ledger SET next_offset = \(100 - value) WHERE reader = '\(reader)'")
        case .rejected:
            try rehearsal.execute("TRUNCATE ingest_batch")
            try rehearsal.batch(at: Timestamp(microseconds: rehearsal.now.microseconds - 61_000_000), rejected: 1000)
            for _ in 0..<value { try rehearsal.batch(at: rehearsal.now, rejected: 1) }
        }
    }

    /// One of these is a measure's unit.
    private static func unit(of kind: AlertKind) -> String {
        kind == .processTimeP50 || kind == .processTimeP95 ? "e-6" : ""
    }

    @Test(arguments: AlertKind.allCases)
    func `each kind opens beyond its limit and closes at its closing value`(_ kind: AlertKind) async throws {
        try await TestDatabase.run { database in
            let unit = Self.unit(of: kind)
            let isBelow = kind == .rateBelow
            let rehearsal = try AlertRehearsal(
                database,
                rule: "kind = '\(kind.rawValue)', value = 4\(unit), closes_at = \(isBelow ? 6 : 2)\(unit), "
                    + "look_back = '\(kind == .symbolStale ? "4 days" : "1 minute")'")
            // Above a limit of 4 and closed at 2, or below it and closed at 6.
            let steps: [(value: Int, isOpen: Bool)] = [
                (0, false), (4, false), (3, false), (5, true), (4, true), (5, true), (3, true), (4, true), (3, true),
                (2, false), (3, false), (4, false), (5, true), (0, false), (8, true), (0, false),
            ]
            var openings = 0
            var wasOpen = false
            for (index, step) in steps.enumerated() {
                try Self.set(kind, to: isBelow ? 8 - step.value : step.value, rehearsal)
                // What the consumer's batches tell is read every three seconds.
                #expect(try rehearsal.step(kind.source == .batches ? 3 : 1))
                let open = try database.value("SELECT count(*) FROM alert WHERE state = 'open'")
                #expect(open == (step.isOpen ? "1" : "0"), "\(kind), step \(index)")
                if step.isOpen, !wasOpen { openings += 1 }
                wasOpen = step.isOpen
            }
            #expect(try database.value("SELECT count(*) FROM alert") == "\(openings)")
            #expect(
                try database.value("SELECT min(limit_value) = 4\(unit) AND bool_and(value <> limit_value) FROM alert")
                    == "t")
            let changes = (0..<openings).flatMap { _ in ["opened", "closed"] }
            #expect(try rehearsal.transitions() == changes)
            #expect(rehearsal.lines.count("cannot be evaluated") == 0)
        }
    }

    @Test(arguments: [(AlertKind.processTimeP50, "0.000003"), (.processTimeP95, "0.0001")])
    func `a quantile is of all batches of the stretch`(_ kind: AlertKind, _ seconds: String) async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database, rule: "kind = '\(kind.rawValue)', value = 0")
            // As many trades each, in any order; these are 3 and 100 microseconds.
            for bucket in [3, 3, 3, 100, 3, 3, 3, 3, 3, 3] { try rehearsal.batch(at: rehearsal.now, bucket: bucket) }
            var connection = try database.connect()
            let rule = try AlertRule.enabled(&connection)[0]
            let readings = try AlertMeasures(now: rehearsal.now, until: nil, log: nil, symbols: [])
                .read(rule, kind, &connection)
            #expect(readings[""]?.value == seconds)
        }
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `a rate over seconds and minutes equals that over seconds alone`(seed: UInt64) async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database, rule: "kind = 'rate_above', value = 0, symbols = '{*}'")
            var random = SplitMix64(seed: seed)
            let base = AlertRehearsal.start.microseconds
            for _ in 0..<200 {
                let time = Timestamp(microseconds: base - Int64.random(in: 0..<400_000_000, using: &random))
                try rehearsal.trade("X:\(Int.random(in: 0..<3, using: &random))", at: time)
            }
            var connection = try database.connect()
            for _ in 0..<40 {
                let seconds = Int64.random(in: 1...300, using: &random)
                let until = Timestamp(microseconds: base - Int64.random(in: 0..<120, using: &random) * 1_000_000)
                try rehearsal.execute("UPDATE threshold SET look_back = '\(seconds) s' WHERE id = 201")
                let rule = try AlertRule.enabled(&connection)[0]
                let symbols = (0..<3).map {
                    KnownSymbols.Symbol(
                        name: "X:\($0)", openFor: 0, silence: 0, silenceSinceOpening: 0, patience: 0, age: 0)
                }
                let readings = try AlertMeasures(now: until, until: until, log: nil, symbols: symbols)
                    .read(rule, .rateAbove, &connection)
                let plain = try database.rows(
                    """
                    SELECT symbol, trim_scale(round(coalesce(sum(trades) FILTER (WHERE
                        window_start >= timestamptz '\(until)' - interval '\(seconds) s' AND window_start < '\(until)'),
                        0) / \(seconds).0, 6)) FROM trade_rollup_1s GROUP BY 1 ORDER BY 1
                    """)
                #expect(readings.sorted { $0.key < $1.key }.map { [$0.key, $0.value.value ?? ""] } == plain)
            }
        }
    }

    @Test func `a condition must hold without a break before an alert opens, and be over before it closes`()
        async throws
    {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database, rule: "kind = 'kpi_lag_above', value = 4, open_after = '3 s', close_after = '2 s'")
            var open: [Bool] = []
            // Another process goes on each time: what holds since when stands in the table.
            for value in [5, 5, 4, 5, 5, 5, 5, 0, 0, 5, 0, 0, 0, 0] {
                try Self.set(.kpiLag, to: value, rehearsal)
                rehearsal.restart()
                try rehearsal.step()
                open.append(try rehearsal.alerts().contains("open"))
            }
            #expect(open.map { $0 ? 1 : 0 } == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
            #expect(
                try database.rows("SELECT opened_at - since, closed_at - clear_since FROM alert")
                    == [["00:00:03", "00:00:02"]])
            #expect(try database.value("SELECT count(*) FROM alert_pending") == "0")
        }
    }

    @Test func `rules by symbol have an alert a symbol, and patterns say which`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database,
                rule:
                    #"kind = 'rate_above', value = 1, look_back = '10 s', symbols = ARRAY['X:*','A_B','50%','a\b']"#)
            let symbols = ["X:1", "X:2", "A_B", "AxB", "50%", "500", #"a\b"#, "ab", "Y"]
            for symbol in symbols {
                try rehearsal.trade(
                    symbol, at: Timestamp(microseconds: rehearsal.until.microseconds - 1_000_000), count: 11)
            }
            try rehearsal.step()
            try rehearsal.step()
            #expect(try rehearsal.alerts().sorted() == ["open 50%", "open A_B", "open X:1", "open X:2", #"open a\b"#])
            // One that fits no longer is no longer looked after.
            try rehearsal.execute("UPDATE threshold SET symbols = '{X:1}' WHERE id = 201")
            try rehearsal.step()
            #expect(try rehearsal.alerts().filter { $0.hasPrefix("open") } == ["open X:1"])
        }
    }

    @Test func `a rule that is changed, disabled or deleted counts at once`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database, rule: "kind = 'kpi_lag_above', value = 10")
            try Self.set(.kpiLag, to: 5, rehearsal)
            try rehearsal.step()
            #expect(try rehearsal.alerts() == [])
            let changes = [
                ("value = 4", 1), ("value = 5", 0), ("value = 4, enabled = true", 1), ("enabled = false", 0),
                ("enabled = true, open_after = '1 minute'", 0), ("open_after = '0'", 1),
                ("kind = 'consumer_lag_above'", 0), ("kind = 'kpi_lag_above'", 1),
            ]
            for (change, open) in changes {
                try rehearsal.execute("UPDATE threshold SET \(change) WHERE id = 201")
                try rehearsal.step()
                #expect(try rehearsal.alerts().count { $0 == "open" } == open, "\(change)")
            }
            try rehearsal.add("kind = 'rejected_above', value = 1, open_after = '1 minute'", id: 202)
            try rehearsal.batch(at: rehearsal.now, rejected: 2)
            try rehearsal.step()
            #expect(try database.value("SELECT count(*) FROM alert_pending") == "1")
            try rehearsal.execute("DELETE FROM threshold WHERE kind IS NOT NULL")
            try rehearsal.step()
            #expect(try rehearsal.alerts().allSatisfy { $0 == "closed" })
            #expect(try database.value("SELECT count(*) FROM alert_pending") == "0")
            #expect(try database.value("SELECT count(*) FROM alert WHERE closed_by = 'a changed rule'") == "3")
        }
    }

    @Test func `silence counts only while the market is open, and from its opening on`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database, rule: "kind = 'symbol_stale_above', value = 1, look_back = '4 days'")
            // Friday 19:59 in New York; the last sessions end at 20:00, and begin on Monday at 04:00.
            try rehearsal.trade("AAPL", at: time("2026-11-21T00:59:00Z"))
            try rehearsal.trade("X:1", at: time("2026-11-21T00:59:00Z"))
            var open: [String: [String]] = [:]
            for moment in [
                "2026-11-21T01:03:00Z",  // 4 minutes later
                "2026-11-21T01:05:00Z",  // the crypto market never closes, and allows 5 minutes
                "2026-11-22T12:00:00Z",  // Sunday
                "2026-11-23T09:00:30Z",  // Monday, the early session has begun
                "2026-11-23T10:59:00Z",  // not yet two hours of it
                "2026-11-23T11:00:30Z",
                "2026-11-23T14:40:00Z",  // the regular session, ten minutes of it: the same silence
                "2026-11-23T14:46:00Z",
                "2026-11-24T01:00:30Z",  // closed
            ] {
                // The rollups are complete 6 s before.
                try rehearsal.jump(to: Timestamp(microseconds: time(moment).microseconds + 6_000_000))
                open[moment] = try rehearsal.alerts().filter { $0.hasPrefix("open") }.sorted()
            }
            #expect(open["2026-11-21T01:03:00Z"] == [])
            #expect(open["2026-11-21T01:05:00Z"] == ["open X:1"])
            #expect(open["2026-11-22T12:00:00Z"] == ["open X:1"])
            #expect(open["2026-11-23T09:00:30Z"] == ["open X:1"])
            #expect(open["2026-11-23T10:59:00Z"] == ["open X:1"])
            #expect(open["2026-11-23T11:00:30Z"] == ["open AAPL", "open X:1"])
            #expect(open["2026-11-23T14:40:00Z"] == ["open AAPL", "open X:1"])
            #expect(open["2026-11-23T14:46:00Z"] == ["open AAPL", "open X:1"])
            #expect(open["2026-11-24T01:00:30Z"] == ["open X:1"])
            #expect(try database.value("SELECT count(*) FROM alert") == "2")
            // A trade ends it; after four days a symbol is forgotten.
            try rehearsal.trade("X:1", at: time("2026-11-24T01:00:31Z"))
            try rehearsal.jump(to: time("2026-11-24T01:00:40Z"))
            #expect(try rehearsal.alerts().filter { $0.hasPrefix("open") } == [])
            try rehearsal.jump(to: time("2026-11-24T02:00:00Z"))
            #expect(try rehearsal.alerts().filter { $0.hasPrefix("open") } == ["open X:1"])
            try rehearsal.jump(to: time("2026-11-28T02:00:00Z"))
            #expect(try rehearsal.alerts().filter { $0.hasPrefix("open") } == [])
        }
    }

    @Test func `symbols whose market is closed are not missing, and no rate is expected of them`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database, rule: "kind = 'symbols_missing_above', value = 0, look_back = '1 minute'")
            try rehearsal.add("kind = 'rate_below', value = 1, look_back = '1 minute'", id: 202)
            try rehearsal.add("kind = 'rate_below', value = 1, symbols = '{AAPL}'", id: 203)
            try rehearsal.execute("UPDATE threshold SET value = 2 WHERE id = 1")
            for symbol in ["AAPL", "MSFT"] { try rehearsal.trade(symbol, at: time("2026-11-21T00:59:00Z")) }
            try rehearsal.jump(to: time("2026-11-22T12:00:00Z"))
            #expect(try rehearsal.alerts() == [])
            // Half a minute of the session, then more than one.
            try rehearsal.jump(to: time("2026-11-23T09:00:30Z"))
            #expect(try rehearsal.alerts() == [])
            try rehearsal.jump(to: time("2026-11-23T09:02:00Z"))
            #expect(try rehearsal.alerts() == ["open", "open", "open AAPL"])
            #expect(try database.value("SELECT value FROM alert WHERE rule_id = 201") == "2")
            try rehearsal.trade("MSFT", at: time("2026-11-23T09:02:00Z"), count: 60)
            try rehearsal.jump(to: time("2026-11-23T09:02:30Z"))
            #expect(try rehearsal.alerts() == ["open", "closed", "open AAPL"])
            // What nobody has ever seen is missing at any time.
            try rehearsal.execute("UPDATE threshold SET value = 3 WHERE id = 1")
            try rehearsal.jump(to: time("2026-11-24T02:00:00Z"))
            #expect(try database.rows("SELECT rule_id, symbol FROM alert WHERE state = 'open'") == [["201", "NULL"]])
        }
    }

    @Test func `rules over trades rest while kpi-service is behind, or while Kafka cannot say whether it is`()
        async throws
    {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database)
            try rehearsal.add("kind = 'rate_below', value = 1, look_back = '1 minute'")
            try rehearsal.add("kind = 'kpi_lag_above', value = 30", id: 202)
            try rehearsal.trade(
                "X:1", at: Timestamp(microseconds: rehearsal.until.microseconds - 2_000_000), count: 100)
            for _ in 0..<20 { try rehearsal.step() }
            #expect(try rehearsal.alerts() == [])
            // 50 more come, and are not stored: after that minute there would be no trades at all.
            rehearsal.ends = [(0, 150)]
            for _ in 0..<200 { try rehearsal.step() }
            #expect(try database.rows("SELECT rule_id, state FROM alert ORDER BY id") == [["202", "open"]])
            #expect(rehearsal.metrics.render().contains("alert_rules_resting 1\n"))
            // They are stored; two evaluations later the rule knows.
            try rehearsal.execute("UPDATE offset_ledger SET next_offset = 150 WHERE reader = 'kpi-service'")
            try rehearsal.trade("X:1", at: rehearsal.until, count: 100)
            for _ in 0..<3 { try rehearsal.step() }
            #expect(try database.rows("SELECT rule_id, state FROM alert ORDER BY id") == [["202", "closed"]])
            #expect(rehearsal.metrics.render().contains("alert_rules_resting 0\n"))
            // Kafka goes: within ten seconds both rest.
            rehearsal.ends = nil
            for _ in 0..<200 { try rehearsal.step() }
            #expect(try rehearsal.alerts() == ["closed"])
            #expect(rehearsal.metrics.render().contains("alert_rules_resting 2\n"))
            #expect(rehearsal.lines.count("the topic's ends are not known") == 1)
            rehearsal.ends = [(0, 150)]
            for _ in 0..<3 { try rehearsal.step() }
            #expect(
                try database.rows("SELECT rule_id, state FROM alert ORDER BY id") == [
                    ["202", "closed"], ["201", "open"],
                ])
        }
    }

    @Test func `thousands of symbols that fall silent at once are one evaluation`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database, rule: "kind = 'symbol_stale_above', value = 1, look_back = '1 day'")
            for table in ["1s", "1h"] {
                try rehearsal.execute(
                    """
                    INSERT INTO trade_rollup_\(table) (symbol, window_start, trades, volume, price_sum, notional, open,
                        open_time, open_id, high, low, close, close_time, close_id)
                    SELECT 'X:' || n, '\(AlertRehearsal.start)', 1, 1, 1, 1, 1, '\(AlertRehearsal.start)', 1, 1, 1, 1,
                        '\(AlertRehearsal.start)', 1
                    FROM generate_series(1, 3000) AS n
                    """)
            }
            try rehearsal.jump(to: Timestamp(microseconds: AlertRehearsal.start.microseconds + 400_000_000))
            #expect(
                try database.rows("SELECT count(*), count(DISTINCT opened_at) FROM alert WHERE state = 'open'")
                    == [["3000", "1"]])
            try rehearsal.execute("UPDATE threshold SET value = 2 WHERE id = 201")
            try rehearsal.step()
            #expect(
                try database.rows("SELECT count(*), count(DISTINCT closed_at) FROM alert WHERE state = 'closed'")
                    == [["3000", "1"]])
            #expect(try database.value("SELECT count(*) FROM alert_transition") == "6000")
        }
    }

    @Test func `a topic that was made anew is waited for from its own beginning`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(
                database, rule: "kind = 'rate_below', value = 1, look_back = '1 minute'")
            for _ in 0..<3 { try rehearsal.step() }
            #expect(try rehearsal.alerts() == ["open"])
            // Ends at 10 now, and the reader goes on in a new generation.
            rehearsal.ends = [(0, 10)]
            try rehearsal.execute(
                """
                INSERT INTO topic_log (log_id, cluster_id, topic, generation) VALUES (2, 'cluster', 'trades', 2);
                INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
                    VALUES ('kpi-service', 2, 0, 1, 5, 1)
                """)
            for _ in 0..<20 { try rehearsal.step() }
            #expect(rehearsal.metrics.render().contains("alert_rules_resting 1\n"))
            try rehearsal.execute("UPDATE offset_ledger SET next_offset = 10 WHERE log_id = 2")
            for _ in 0..<2 { try rehearsal.step() }
            #expect(rehearsal.metrics.render().contains("alert_rules_resting 0\n"))
        }
    }

    @Test func `a rule that cannot be evaluated is told once, and the others are`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database, rule: "kind = 'rejected_above', value = 1")
            try rehearsal.add("kind = 'kpi_lag_above', value = 4", id: 202)
            try rehearsal.execute("ALTER TABLE ingest_batch RENAME TO elsewhere")
            try Self.set(.kpiLag, to: 5, rehearsal)
            for _ in 0..<3 { try rehearsal.step() }
            #expect(try rehearsal.alerts() == ["open"])
            #expect(rehearsal.lines.count("a rule cannot be evaluated") == 1)
            try rehearsal.execute("ALTER TABLE elsewhere RENAME TO ingest_batch")
            try rehearsal.batch(at: rehearsal.now, rejected: 2)
            try rehearsal.step(3)
            #expect(try rehearsal.alerts() == ["open", "open"])
        }
    }

    @Test func `a tick that comes a little early counts, and one much too early does not`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database)
            #expect(try rehearsal.step(milliseconds: 950))
            #expect(try !rehearsal.step(milliseconds: 850))
            // The clock was set back.
            #expect(try rehearsal.step(-3600))
        }
    }

    @Test func `several members at once evaluate once a second, and open one alert`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try AlertRehearsal(database, rule: "kind = 'kpi_lag_above', value = 4")
            try rehearsal.execute("UPDATE offset_ledger SET next_offset = 0")
            let moment = Timestamp(microseconds: rehearsal.now.microseconds + 1_000_000)
            let members = (0..<4).map { _ in
                Worker { () -> Int in
                    let lines = AlertRehearsal.Lines()
                    let evaluator = AlertEvaluator(
                        interval: .seconds(1), calendar: .builtIn,
                        logger: .init(label: "test", output: lines.append), metrics: AlertMetrics(.init())
                    ) { LogEnds(cluster: "cluster", topic: "trades", partitions: [(0, 100)]) }
                    var connection = try database.connect()
                    return try (0..<20).count { _ in try evaluator.run(&connection, at: moment) }
                }
            }
            #expect(try members.map { try $0.value() }.reduce(0, +) == 1)
            #expect(try rehearsal.alerts() == ["open"])
            #expect(try rehearsal.step() == false)
        }
    }
}
