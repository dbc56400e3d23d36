import DatabaseTestSupport
import ExactlyOnce
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

/// The KPI service that fails in what it does beside the trades: latencies, alerts, rebuild.
@Suite(.timeLimit(.minutes(10))) struct PeriodicFailpointTests {
    @Test(arguments: PeriodicFailureCase.all(.beforeFoldCommit, .afterFoldCommitTag))
    func `latencies are folded once, whatever becomes of the fold`(_ failure: PeriodicFailureCase) async throws {
        let run = try await PeriodicFailureRun(failure)
        var service = try run.start(armed: true)
        try await run.write(hour: 0)
        service = try await run.survive(service)
        try await run.write(hour: 1)
        try await run.waitForHours(2, by: service)
        try await run.verify()
        let rows = "SELECT sum(trades + negative) FROM latency_rollup_1h GROUP BY hop"
        #expect(try run.database.rows(rows) == [["80"], ["80"], ["80"], ["80"]])
        try await run.stop(service)
    }

    @Test(
        arguments: PeriodicFailureCase.all(
            .beforeEvaluationCommit, .afterEvaluationCommitTag, .afterPublishing, .afterMarking))
    func `each change of an alert happens once, and reaches the topic in order`(
        _ failure: PeriodicFailureCase
    ) async throws {
        let run = try await PeriodicFailureRun(failure)
        let (database, broker) = (run.database, run.broker)
        let tap = try TopicTap(bootstrap: broker.bootstrap, topic: broker.alertsTopic, partitions: 2)
        defer { tap.stop() }
        try database.execute(
            """
            UPDATE threshold SET enabled = kind = 'rejected_above' WHERE kind IS NOT NULL;
            UPDATE threshold SET look_back = '1 hour' WHERE kind = 'rejected_above'
            """)
        func rule(_ limit: Int) throws {
            try database.execute("UPDATE threshold SET value = \(limit), closes_at = \(limit) WHERE id = 109")
        }
        // What the alert is about is there before the service looks.
        try await RecordWriter(broker: broker).write(["nonsense"], to: broker.topic, partition: 0)
        try await eventually("the record is rejected") {
            try database.value("SELECT count(*) FROM ingest_batch WHERE rejected = 1") == "1"
        }
        let service = try await run.survive(run.start(armed: true))
        let isOpen = "SELECT bool_or(state = 'open') FROM alert"
        try await run.wait(for: "an open alert", by: service, isOpen)
        try rule(1)
        try await run.wait(for: "a closed alert", by: service, "SELECT NOT bool_or(state = 'open') FROM alert")
        try rule(0)
        try await run.wait(for: "another open alert", by: service, isOpen)
        try await run.wait(
            for: "an empty outbox", by: service,
            "SELECT NOT EXISTS (SELECT FROM alert_transition WHERE published_at IS NULL)")

        let told = try database.rows("SELECT state, sequence FROM alert_transition ORDER BY sequence")
        #expect(told.map { $0[0] } == ["opened", "closed", "opened"])
        #expect(try database.rows("SELECT state FROM alert ORDER BY id") == [["closed"], ["open"]])
        func numbers() throws -> [String] {
            try tap.records().map { try #require(JSONText($0.value)["seq"]?.number) }
        }
        try await eventually("the last change in the topic") { try numbers().last == told.last?[1] }
        var first: [String] = []
        for number in try numbers() where !first.contains(number) { first.append(number) }
        #expect(first == told.map { $0[1] })
        // What was not marked is sent again.
        if failure.point == .afterPublishing { #expect(try numbers().count > told.count) }
        try await run.stop(service)
    }

    @Test(arguments: PeriodicFailureCase.all(.inRebuild))
    func `a rebuild that dies leaves each hour as it was or as it is to be`(
        _ failure: PeriodicFailureCase
    ) async throws {
        let run = try await PeriodicFailureRun(failure)
        let service = try run.start()
        for hour in 0..<2 { try await run.write(hour: hour) }
        try await run.waitForHours(2, by: service)
        // Repeats count, and are to be left out from now on: all rows change.
        let died = try await run.run(["rebuild", "--repeats", "ignore"], failingIn: 1)
        #expect(died.status == (failure.action == .crash ? .signaled(9) : .exited(1)), "\(died)")
        #expect(died.errors.contains("failpoint in-rebuild"))
        let rows = """
            SELECT extract(epoch FROM window_start)::bigint / 3600 - \(PeriodicFailureRun.firstHour) AS hour, grain, repeats,
                sum(trades)
            FROM (SELECT window_start, '1s' AS grain, repeats, trades FROM trade_rollup_1s
                UNION ALL SELECT window_start, '1m', repeats, trades FROM trade_rollup_1m
                UNION ALL SELECT window_start, '1h', repeats, trades FROM trade_rollup_1h) AS kept
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        func expected(_ hour: Int, _ repeats: String, _ trades: Int) -> [[String]] {
            ["1h", "1m", "1s"].map { ["\(hour)", $0, repeats, "\(trades)"] }
        }
        try await eventually("the server has noticed") {
            try run.database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% rebuild'"
            ) == "0"
        }
        #expect(try run.database.rows(rows) == expected(0, "ignore", 20) + expected(1, "count", 40))
        try await run.verify(repeats: "ignore")
        // The readers go on, and rebuild can be run again.
        try await run.write(hour: 2)
        try await run.waitForHours(3, by: service)
        try await run.verify(repeats: "ignore")
        let rebuilt = try await run.run(["rebuild"])
        #expect(rebuilt.status == .exited(0), "\(rebuilt)")
        #expect(try run.database.rows(rows) == (0..<3).flatMap { expected($0, "count", 40) })
        try await run.verify()
        try await run.stop(service)
    }
}
