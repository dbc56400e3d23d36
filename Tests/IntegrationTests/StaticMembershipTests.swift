import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

/// Consumers under an `--instance-id`, by what Kafka says of their group.
@Suite(
    .serialized, .timeLimit(.minutes(10)),
    .enabled(if: Broker.kafkaHome != nil, "the embedded broker knows no static membership"))
struct StaticMembershipTests {
    private static let portion = 20

    @Test func `a killed member that starts again under its name has its partitions back, and the group rests`()
        async throws
    {
        // Nor is there a session's end to be waited for, be it as long as it will.
        let named = try await Self.restart(instanceIDs: ["one", "two"], session: .seconds(45))
        // Nobody was asked to join again, and nobody's session was over.
        #expect(named.groupLog == [])
        #expect(named.partitions.after == named.partitions.before)
        #expect(named.otherAssignments == 0)

        // The same without names, or the above would prove nothing.
        let unnamed = try await Self.restart(instanceIDs: [nil, nil], session: .seconds(6))
        #expect(unnamed.groupLog.contains { $0.contains("Preparing to rebalance") }, "\(unnamed.groupLog)")
        print("restart static=\(Self.seconds(named.time)) dynamic=\(Self.seconds(unnamed.time)) session=6.0s")
    }

    @Test func `of two processes under one name Kafka lets the newer one in, and the older one ends saying so`()
        async throws
    {
        let broker = try await Broker(partitions: 1)
        let database = try await TestDatabase()
        let older = try RunningProgram.reader("consumer", broker, database.url, ["--instance-id", "one"])
        try await older.waitForReadiness(200)
        let newer = try RunningProgram.reader("consumer", broker, database.url, ["--instance-id", "one"])

        #expect(try await older.end() == .exited(1), "\(older.lastLines)")
        let last = try #require(older.log.split(separator: "\n").last { $0.contains(" critical ") })
        #expect(last.contains("fenced by other consumer with same group.instance.id"), "\(last)")
        try await RecordWriter(broker: broker).write([RecordWriter.trade("one", 1)], to: broker.topic, partition: 0)
        try await newer.wait(for: "the newer one to store") {
            try database.value("SELECT count(*) FROM trade_data_finhub") == "1"
        }
        try await newer.stop()
    }

    /// What came of a member that was killed and started again at once.
    private struct Restart {
        /// From the start of the new process to its first new row.
        let time: Duration
        /// What Kafka said of the group meanwhile, but for the return of the member itself.
        let groupLog: [String]
        /// The member's partitions, by its log.
        let partitions: (before: String, after: String)
        /// How often the other member was given partitions meanwhile.
        let otherAssignments: Int
    }

    private static func restart(instanceIDs: [String?], session: Duration) async throws -> Restart {
        let directory = try TemporaryDirectory(prefix: "tickstream-static")
        let properties = "\(directory.path)/kafka.properties"
        try "session.timeout.ms=\(session.components.seconds * 1000)\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        let broker = try await Broker(partitions: 2)
        let group = broker.group(of: "consumer")
        let database = try await TestDatabase()
        func start(_ member: Int) throws -> RunningProgram {
            let arguments = instanceIDs[member].map { ["--instance-id", $0] } ?? []
            return try RunningProgram.reader(
                "consumer", broker, database.url, arguments + ["--kafka-properties-file", properties])
        }
        let victim = try start(0)
        try await victim.waitForReadiness(200)
        let other = try start(1)
        for member in [victim, other] {
            try await member.wait(for: "a partition for each") { try await member.metric("assigned_partitions") == 1 }
        }
        try await write(0, to: broker)
        try await waitUntilStored(1, in: victim.partitions, by: victim, database)
        let rest = try await broker.log(ofGroup: group)
        guard rest.contains(where: { $0.contains("Stabilized group") }) else {
            throw TestFailure("Kafka's log does not tell of groups: \(rest)")
        }
        let assignments = other.assignments.count

        victim.child.kill(SIGKILL)
        _ = try await victim.end()
        try await write(1, to: broker)
        let started = ContinuousClock.now
        let successor = try start(0)
        // The new process need not have the partition of the old one: any new row of its own counts.
        try await successor.wait(for: "partitions") { !successor.partitions.isEmpty }
        try await waitUntilStored(2, in: successor.partitions, by: successor, database)
        let time = ContinuousClock.now - started
        let groupLog = try await broker.log(ofGroup: group).dropFirst(rest.count)
        let restart = Restart(
            time: time, groupLog: groupLog.filter { !$0.contains("Static member") },
            partitions: (victim.partitions, successor.partitions),
            otherAssignments: other.assignments.count - assignments)
        for member in [successor, other] { try await member.stop() }
        return restart
    }

    private static func write(_ number: Int, to broker: Broker) async throws {
        for partition in 0..<2 as Range<Int32> {
            let values = (number * portion..<(number + 1) * portion).map { RecordWriter.trade("one", $0) }
            try await RecordWriter(broker: broker).write(values, to: broker.topic, partition: partition)
        }
    }

    private static func waitUntilStored(
        _ portions: Int, in partitions: String, by member: RunningProgram, _ database: TestDatabase
    ) async throws {
        try await member.wait(for: "\(portions) portions of \(partitions) to be stored") {
            try database.value(
                """
                SELECT bool_and(rows >= \(portions * portion)) FROM (
                    SELECT (SELECT count(*) FROM trade_data_finhub WHERE kafka_partition = partition) AS rows
                    FROM unnest('{\(partitions)}'::int[]) AS partition) AS counts
                """) == "t"
        }
    }

    private static func seconds(_ duration: Duration) -> String {
        String(format: "%.1fs", duration / .seconds(1))
    }
}

extension RunningProgram {
    /// The partitions of the trades that the group has given to this member, time after time, by its log.
    fileprivate var assignments: [String] {
        log.split(separator: "\n").filter { $0.contains("partitions assigned") && !$0.contains("-events ") }
            .compactMap { $0.firstMatch(of: /kafka\.partitions=([0-9,]+)/).map { String($0.1) } }
    }

    /// The last of them; empty when there is none.
    fileprivate var partitions: String { assignments.last ?? "" }
}
