import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct AlertTests {
    private static func alerts(_ arguments: [String], _ url: String) async throws -> RunningProgram.Ended {
        try await RunningProgram.run("kpi-service", ["alerts"] + arguments, ["DATABASE_URL": url])
    }

    @Test func `an alert opens, is acknowledged and closes: in the table, in the topic and in the metrics`()
        async throws
    {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let url = try database.makeUser(password: "secret", "IN ROLE tickstream_kpi")
        // All kinds are evaluated; one is to open, and to close when there was time to look at it.
        try database.execute(
            """
            UPDATE threshold SET enabled = true WHERE kind IS NOT NULL;
            UPDATE threshold SET open_after = '1 day' WHERE kind IS NOT NULL AND kind <> 'rejected_above';
            UPDATE threshold SET look_back = '30 seconds', severity = 'critical' WHERE kind = 'rejected_above'
            """)
        let tap = try TopicTap(bootstrap: broker.bootstrap, topic: broker.alertsTopic, partitions: 2)
        defer { tap.stop() }
        let consumer = try RunningProgram.reader("consumer", broker, database.url)
        var service = try RunningProgram.reader("kpi-service", broker, url, ["--alert-interval", "100"])
        for reader in [consumer, service] { try await reader.waitForReadiness(200) }
        try await service.wait(for: "all rules to be evaluated") {
            guard try await service.metric("alert_rules_enabled") == 9 else { return false }
            return try await service.metric("alert_rules_resting") == 0
        }
        #expect(try await service.metric("alerts_open") == 0)

        try await RecordWriter(broker: broker).write(["nonsense", "{}"], to: broker.topic, partition: 0)
        try await service.wait(for: "an alert in the metrics") { try await service.metric("alerts_open") == 1 }
        #expect(
            try database.rows("SELECT id, state, rule_id, value BETWEEN 1 AND 2, limit_value, severity FROM alert")
                == [["1", "open", "109", "t", "0", "critical"]])
        let listed = try await Self.alerts(["list", "--output", "json"], url)
        #expect(
            listed.output.contains(#""id":1,"state":"open","severity":"critical","rule":"records rejected""#),
            "\(listed)")
        let acknowledged = try await Self.alerts(["acknowledge", "--id", "1", "--by", "me"], url)
        #expect(acknowledged.status == .exited(0), "\(acknowledged)")
        let again = try await Self.alerts(["acknowledge", "--id", "1"], url)
        #expect(again.status == .exited(1) && again.errors.contains("is acknowledged already"), "\(again)")

        // Another process goes on.
        try await service.stop()
        #expect(!service.log.contains("permission denied"), "\(service.log)")
        #expect(!service.log.contains("cannot be evaluated"), "\(service.log)")
        service = try RunningProgram.reader("kpi-service", broker, url, ["--alert-interval", "100"])
        try await service.wait(for: "the alert to be closed") {
            try database.rows("SELECT state, acknowledged_by, closed_by FROM alert") == [["closed", "me", "NULL"]]
        }
        try await service.wait(for: "all changes in the topic") {
            try tap.records().count >= 3
                && database.value("SELECT count(*) FROM alert_transition WHERE published_at IS NULL") == "0"
        }
        let records = try tap.records().map { try JSONText($0.value) }
        // A process that was stopped between sending and marking leaves what is sent again.
        var changes: [String] = []
        for record in records {
            let change = "\(record["seq"]?.number ?? "") \(record["id"]?.number ?? "") \(record["state"]?.string ?? "")"
            if !changes.contains(change) { changes.append(change) }
        }
        #expect(changes == ["1 1 opened", "2 1 acknowledged", "3 1 closed"])
        #expect(records[0]["kind"]?.string == "rejected_above")
        try await service.wait(for: "no open alert in the metrics") { try await service.metric("alerts_open") == 0 }
        try await service.wait(for: "nothing unpublished in the metrics") {
            try await service.metric("alert_transitions_unpublished") == 0
        }
        #expect(try await service.metric("alert_evaluations_total") > 0)
        for program in [service, consumer] { try await program.stop() }
    }
}
