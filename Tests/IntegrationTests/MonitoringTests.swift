import DatabaseTestSupport
import Foundation
import LocalServers
import Postgres
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct MonitoringTests {
    private static let trades = 2_000

    @Test func `every program counts the same trades, and says whether it is ready`() async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        // Nobody can claim a partition yet.
        var lock = try database.connect()
        try lock.begin()
        try lock.execute("LOCK TABLE offset_ledger")
        let port = try FreePort.find()
        let producer = try RunningProgram.producer(broker, feed: "ws://127.0.0.1:\(port)")
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }

        try await producer.waitForLog(": publishing", count: 2)
        try await producer.wait(for: "only the feed to be missing") {
            try await producer.waitForReadiness(503) == "feed: not connected\n"
        }
        for reader in readers {
            #expect(try await reader.waitForReadiness(503).hasPrefix("partitions: none is claimed"))
        }
        for program in [producer] + readers { #expect(try await program.get("/healthz").body == "ok\n") }

        try lock.commit()
        for reader in readers { try await reader.waitForReadiness(200) }
        let simulator = try RunningProgram(
            "feed-simulator",
            ["--listen", "127.0.0.1:\(port)", "--rate", "2000", "--limit", String(Self.trades)])
        try await producer.waitForReadiness(200)

        try await producer.wait(for: "all trades to be acknowledged") {
            try await producer.metric("kafka_records_acknowledged_total") == Double(Self.trades)
        }
        #expect(try await producer.metric("feed_trades_total") == Double(Self.trades))
        #expect(try await producer.metric("feed_trades_spooled_total") == Double(Self.trades))
        #expect(try await producer.metric("kafka_records_sent_total") == Double(Self.trades))
        #expect(try await producer.metric("kafka_records_resent_total") == 0)
        #expect(try await producer.metric("kafka_records_refused_total") == 0)
        #expect(try await producer.metric("feed_trades_dropped_total") == 0)
        #expect(try await producer.metric("feed_items_rejected_total") == 0)
        for reader in readers {
            try await reader.waitUntilStored(atLeast: Self.trades, from: producer)
            #expect(try await reader.metric("records_stored_total") == Double(Self.trades))
            #expect(try await reader.metric("records_read_total") == Double(Self.trades))
            #expect(try await reader.metric("records_rejected_total") == 0)
            #expect(try await reader.metric("ledger_next_offset") == Double(Self.trades))
            #expect(try await reader.metric("batch_records") > 0)
            #expect(try await reader.metric("halted_partitions") == 0)
            try await reader.wait(for: "no lag") { try await reader.metric("lag_records") == 0 }
        }
        #expect(try await broker.recordCount() == Self.trades)
        #expect(try database.value("SELECT count(*) FROM trade_data_finhub") == "\(Self.trades)")

        try await simulator.stop()
        try await producer.waitForLog(": publishing", count: 2)
        try await producer.wait(for: "only the feed to be missing") {
            try await producer.waitForReadiness(503) == "feed: not connected\n"
        }
        for program in [producer] + readers {
            #expect(try await program.get("/healthz").status == 200)
            #expect(try await program.get("/elsewhere").status == 404)
            try await program.stop()
        }
    }

    /// Prometheus' own checker.
    private static let promtool: String? = {
        let own = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../.build/tools/promtool").standardizedFileURL
        return Executable.find(own.path) ?? Executable.find("promtool")
    }()

    @Test(.enabled(if: promtool != nil, "needs promtool: deploy/local/setup.sh promtool gets it"))
    func `promtool finds nothing wrong with the metrics of any program`() async throws {
        let promtool = try #require(Self.promtool)
        let directory = try TemporaryDirectory(prefix: "tickstream-metrics")
        let broker = try await Broker()
        let database = try await TestDatabase()
        let (simulator, url) = try await RunningProgram.simulator()
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        let producer = try RunningProgram.producer(broker, feed: url)
        for reader in readers { try await reader.waitUntilStored(from: producer) }
        // Of a partition's halt there is a metric once it was halted: each reader finds a fault when it claims anew.
        try database.execute(
            """
            UPDATE offset_ledger SET fault = 'made up', epoch = epoch + 1
            WHERE partition = 0 AND log_id = (SELECT log_id FROM topic_log WHERE topic = '\(broker.topic)')
            """)
        for reader in readers {
            try await reader.wait(for: "a halted partition") { try await reader.metric("halted_partitions") == 1 }
            #expect(try await reader.metric("partition_halted") == 1)
            for metric in ["lag_records", "batch_records"] { _ = try await reader.metric(metric) }
        }
        for program in [producer] + readers {
            let file = "\(directory.path)/\(program.name)"
            try await program.get("/metrics").body.write(toFile: file, atomically: true, encoding: .utf8)
            let findings = try await ChildProcess.run("sh", ["-c", #""$0" check metrics <"$1""#, promtool, file])
            #expect(findings == "", "\(program.name)")
        }
        for program in readers + [producer, simulator] { try await program.stop() }
    }

    @Test func `readers without their database are not ready, and stop on SIGTERM`() async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        let broker = try await Broker()
        let database = try await TestDatabase(in: server)
        let (simulator, url) = try await RunningProgram.simulator(["--rate", "500"])
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        let producer = try RunningProgram.producer(broker, feed: url)
        for reader in readers { try await reader.waitUntilStored(from: producer) }

        await server.stop()
        for reader in readers {
            let problem = try await reader.waitForReadiness(503)
            #expect(problem.hasPrefix("partitions: none is claimed"))
            try await reader.waitForLog("cannot claim partitions yet; trying again")
        }
        try await server.start()
        for reader in readers { try await reader.waitForReadiness(200) }
        await server.stop()
        for reader in readers {
            try await reader.waitForReadiness(503)
            try await reader.stop()
        }
        try await producer.stop()
        try await simulator.stop()
    }

    @Test(arguments: ["producer"] + RunningProgram.readers)
    func `a taken port is said before anything starts`(_ name: String) async throws {
        let (simulator, url) = try await RunningProgram.simulator()
        let address = String(url.dropFirst("ws://".count))
        let place = address.replacingOccurrences(of: ":", with: " port ")
        let database = try await TestDatabase()
        // Without Kafka, whatever started would say that it waits.
        let ended = try await RunningProgram.run(
            name, ["--kafka-bootstrap-servers", try Broker.absent(), "--monitoring-listen", address],
            ["DATABASE_URL": database.url])
        #expect(ended.status == .exited(1), "\(ended)")
        let lines = ended.errors.split(separator: "\n").filter { !$0.contains("Kafka client") }
        #expect(lines.count == 1, "\(ended)")
        #expect(lines.first?.contains(" critical ") == true && lines.first?.contains(place) == true, "\(ended)")
        try await simulator.stop()
    }
}
