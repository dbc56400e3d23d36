import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct UpkeepWorkTests {
    /// A service that runs on a thread of its own and looks all the time.
    private final class Running: Sendable {
        let metrics = MetricsRegistry()
        let lines = Mutex<[String]>([])
        private let shutdown = ShutdownSignal()
        private let worker = Mutex<Worker<Void>?>(nil)

        init(_ url: String) throws {
            let retention = RollupRetention([.second: Retention(days: 1)], metrics: metrics)
            let service = PeriodicService(
                "upkeep", every: .milliseconds(5),
                database: try PostgresConfiguration(url, applicationName: "upkeep"),
                logger: Logger(label: "tests") { [self] line in lines.withLock { $0.append(line) } },
                complaint: "trying again"
            ) { [self] in
                UpkeepWork(retention, alerts: nil, metrics: metrics) { Timestamp(milliseconds: 19_923 * 86_400_000) }
            }
            worker.withLock { [shutdown] in $0 = Worker { try service.run(until: shutdown) } }
        }

        func stop() throws {
            shutdown.request()
            try worker.withLock { $0 }?.value()
        }
    }

    @Test func `two instances fold what comes, delete what is past its time, and survive the loss of connections`()
        async throws
    {
        try await TestDatabase.run { database in
            try database.store(kpiTrades(2000, seed: 8))
            let services = try [Running(database.url), Running(database.url)]
            var random = SplitMix64(seed: 8)
            var position: Int64 = 0
            for round in 1...4 {
                position = try database.storeBatches(
                    20, partition: 0, from: position,
                    at: Timestamp(milliseconds: 1_721_390_400_000 + Int64(round) * 100_000), &random)
                try eventually("all is folded") {
                    try database.value("SELECT max(next_offset) FROM latency_position")
                        == database.value("SELECT max(next_offset) FROM ingest_batch")
                }
                try database.execute(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'upkeep'
                    """)
            }
            try eventually("old rollups are gone") {
                try database.value("SELECT min(window_start) >= '2024-07-18Z' FROM trade_rollup_1s") == "t"
            }
            for service in services { try service.stop() }
            #expect(try database.latencyDifferences() == [])
            #expect(
                try database.value("SELECT count(*) > 0 FROM trade_rollup_1m WHERE window_start < '2024-07-18Z'") == "t"
            )
            let counts = services.flatMap { $0.metrics.render().split(separator: "\n") }
                .filter { $0.hasPrefix("latency_batches_total ") }
            let folded = counts.compactMap { Int($0.dropFirst("latency_batches_total ".count)) }
            #expect(folded.reduce(0, +) == 80)
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
}
