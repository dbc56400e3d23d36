import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport

/// A consumer, and a KPI service that fails in what it does beside the trades.
struct PeriodicFailureRun {
    private static let partitions: Range<Int32> = 0..<2
    /// Trades that an hour has in each partition.
    private static let portion = 20
    /// 2026-08-28 13:00 UTC, in hours since 1970.
    static let firstHour = 496_645

    let broker: Broker
    let database: TestDatabase
    private let failure: PeriodicFailureCase
    private let directory: TemporaryDirectory
    private let consumer: RunningProgram

    init(_ failure: PeriodicFailureCase) async throws {
        self.failure = failure
        broker = try await Broker(partitions: Self.partitions.count)
        database = try await TestDatabase()
        directory = try TemporaryDirectory(prefix: "tickstream-failpoint")
        let session = Broker.kafkaHome == nil ? 3500 : 1500
        try "session.timeout.ms=\(session)\nheartbeat.interval.ms=200\n"
            .write(toFile: "\(directory.path)/kafka.properties", atomically: true, encoding: .utf8)
        consumer = try RunningProgram.reader("consumer", broker, database.url)
    }

    /// Starts a KPI service, which fails at the point when it is armed.
    func start(armed: Bool = false) throws -> RunningProgram {
        try RunningProgram.reader(
            "kpi-service", broker, database.url,
            ["--alert-interval", "100", "--kafka-properties-file", "\(directory.path)/kafka.properties"],
            armed ? failure.environment(number: 1) : [:])
    }

    /// Waits for the failure, and has a service again: another one, or the same, which has noticed.
    func survive(_ service: RunningProgram) async throws -> RunningProgram {
        try await service.waitForFailpoint()
        guard failure.action == .crash else { return service }
        guard try await service.end() == .signaled(SIGKILL) else { throw TestFailure("no crash\n\(service.lastLines)") }
        return try start()
    }

    /// Runs a command of the KPI service.
    func run(_ arguments: [String], failingIn hour: Int? = nil) async throws -> RunningProgram.Ended {
        let environment = hour.map { failure.environment(number: Self.firstHour + $0) } ?? [:]
        return try await RunningProgram.run(
            "kpi-service", arguments, environment.merging(["DATABASE_URL": database.url]) { given, _ in given })
    }

    /// Writes an hour's trades to both partitions, half of which are repeats.
    func write(hour: Int) async throws {
        for partition in Self.partitions {
            let values = (0..<Self.portion).map { number in
                let sequence = hour * Self.portion + number
                let time = (Self.firstHour + hour) * 3_600_000 + number * 700
                return #"{"s":"S\#(number % 3)","p":\#(100 + number % 7).5,"t":\#(time),"v":\#(number % 5),"c":null,"#
                    + #""to_kafka":"2026-08-28T12:00:00.000001Z","src":"p\#(partition)","seq":\#(sequence),"#
                    + #""repeat":\#(number % 2)}"#
            }
            try await RecordWriter(broker: broker).write(values, to: broker.topic, partition: partition)
        }
    }

    /// Waits until all trades of so many hours are stored, counted, and in the rollups of latencies.
    func waitForHours(_ hours: Int, by service: RunningProgram) async throws {
        let offset = hours * Self.portion
        try await wait(
            for: "\(hours) hours to be read", by: service,
            """
            SELECT count(*) = 4 FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE topic = '\(broker.topic)' AND next_offset = \(offset)
            """)
        try await wait(
            for: "all batches to be folded", by: service,
            """
            SELECT count(*) = 2 FROM latency_position JOIN topic_log USING (log_id)
            WHERE topic = '\(broker.topic)' AND next_offset = \(offset)
            """)
    }

    /// Waits until the database says yes.
    func wait(for what: String, by service: RunningProgram, _ question: String) async throws {
        try await service.wait(for: what) { try database.value(question) == "t" }
    }

    /// Throws unless verify finds nothing, and nothing unread.
    /// - Parameter repeats: what is to be of windows that have no row.
    func verify(repeats: String = "count") async throws {
        let verified = try await run(["verify", "--to", "9999-12-31", "--repeats", repeats])
        let lines = verified.output.split(separator: "\n")
        guard verified.status == .exited(0), lines.count == 1,
            lines[0].firstMatch(of: /^checked=[1-9][0-9]+ differences=0 unread=0$/) != nil
        else { throw TestFailure("\(verified)") }
    }

    /// Has both programs end, as they do when they are asked to.
    func stop(_ service: RunningProgram) async throws {
        for program in [service, consumer] { try await program.stop() }
    }
}
