import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Consumer

@Suite(.timeLimit(.minutes(10))) struct MaintenanceWorkTests {
    /// A service that runs on a thread of its own, looks all the time, and has a day that tests can change.
    private final class Running: Sendable {
        let day = Atomic(today)
        let metrics = MetricsRegistry()
        let lines = Mutex<[String]>([])
        private let shutdown = ShutdownSignal()
        private let worker = Mutex<Worker<Void>?>(nil)

        init(_ url: String) throws {
            let logger = Logger(label: "tests") { [self] line in lines.withLock { $0.append(line) } }
            let service = PeriodicService(
                "maintenance", every: .milliseconds(5),
                database: try PostgresConfiguration(url, applicationName: "maintenance"), logger: logger,
                complaint: "trying again"
            ) { [self] in
                MaintenanceWork(
                    ["trade_data_finhub", "ingest_batch"].map { DailyTable(name: $0, daysBehind: 0, retention: nil) },
                    metrics: metrics, logger: logger
                ) { [self] in Timestamp(milliseconds: Int64(day.load(ordering: .acquiring)) * 86_400_000) }
            }
            worker.withLock { [shutdown] in $0 = Worker { try service.run(until: shutdown) } }
        }

        func stop() throws {
            shutdown.request()
            try worker.withLock { $0 }?.value()
        }
    }

    @Test func `it makes the days of both tables at once, and those that come`() async throws {
        try await TestDatabase.run { database in
            let running = try Running(database.url)
            for (passed, days) in [21...24, 21...25].enumerated() {
                running.day.store(today + passed, ordering: .releasing)
                for table in ["trade_data_finhub", "ingest_batch"] {
                    let wanted = days.map { "2026-11-\($0)" } + ["default"]
                    try eventually("\(table) has \(wanted)") { try database.partitions(of: table) == wanted }
                }
            }
            try running.stop()
            #expect(!running.metrics.render().contains("maintenance_last_success_seconds{table=\"ingest_batch\"} 0\n"))
            #expect(running.lines.withLock { $0.filter { $0.contains("made a partition") }.count } == 10)
        }
    }

    @Test func `a database that is away is no reason to end, and is told once`() async throws {
        try await onThread {
            let running = try Running("postgresql://postgres@127.0.0.1:1/none")
            try eventually("a line") { running.lines.withLock { !$0.isEmpty } }
            try running.stop()
            #expect(running.lines.withLock { $0.count } == 1)
        }
    }

    @Test func `a connection that was lost is made anew`() async throws {
        try await TestDatabase.run { database in
            let running = try Running(database.url)
            try eventually("partitions") { try database.partitions().count == 5 }
            try database.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'maintenance'
                """)
            running.day.wrappingAdd(1, ordering: .releasing)
            try eventually("one more") { try database.partitions().count == 6 }
            try running.stop()
        }
    }

    @Test func `a stop does not wait for locks`() async throws {
        try await TestDatabase.run { database in
            var holder = try database.connect()
            try holder.begin()
            try holder.execute("LOCK TABLE ONLY trade_data_finhub IN ACCESS SHARE MODE")
            let running = try Running(database.url)
            try eventually("it tries") {
                try database.value(
                    """
                    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = 'maintenance' AND query LIKE '%tickstream_make_day%'
                    """) == "1"
            }
            try running.stop()
            #expect(try database.partitions() == ["default"])
        }
    }
}
