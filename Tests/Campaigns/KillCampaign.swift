import Foundation
import Kafka
import LocalServers
import Postgres
import TestSupport

/// Kills producer and broker in turn, in the middle of a stream, and proves by SQL what became of each trade.
struct KillCampaign {
    private static let symbols = ["AAPL", "AMZN", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "OANDA:EUR_USD", "IC MARKETS:1"]
    private static let partitions = 5

    let options: KillOptions

    init(_ options: KillOptions) {
        self.options = options
    }

    /// - Returns: whether nothing was lost, doubled or left without a gap on record.
    func run() async throws -> Bool {
        guard let home = try KafkaHome.find() else {
            throw CampaignError("KAFKA_HOME must name an unpacked Kafka: an embedded broker forgets its topics when it dies")
        }
        let directory = try TemporaryDirectory(prefix: "tickstream-kills")
        let postgres = try PostgresServer(durability: .disposable)
        try await postgres.start()
        let kafka = try KafkaServer(home: home)
        try await kafka.start()
        let processes = try PipelineProcesses(directory: "\(directory.path)/pipeline") { print("died: \($0)") }
        do {
            let proof = try await run(postgres, kafka, processes, directory.path)
            await kafka.stop()
            await postgres.stop()
            print(proof.description)
            return proof.holds
        } catch {
            await processes.stopAll()
            await kafka.stop()
            await postgres.stop()
            throw error
        }
    }

    private func run(
        _ postgres: PostgresServer, _ kafka: KafkaServer, _ processes: PipelineProcesses, _ directory: String
    ) async throws -> KillProof {
        try await postgres.createDatabase("kills")
        let url = postgres.connectionString(database: "kills")
        try await processes.migrate(databaseURL: url)
        let client = try KafkaClient(settings: .client(bootstrapServers: kafka.bootstrapServers))
        for (topic, partitions) in [("trades", Self.partitions), ("feed-events", 1)] {
            _ = try await onThread { try KafkaAdmin(client).createTopic(topic, partitions: partitions, replication: 1) }
        }
        let recording = "\(directory)/recording.jsonl"
        let scenario = "\(directory)/steady.scenario"
        // Without pings the last thing that was heard is a trade, so that gaps can be held against trades exactly.
        try "connection *\n  pings off\n  accept\n  trades forever rate \(options.rate)\n"
            .write(toFile: scenario, atomically: true, encoding: .utf8)
        let feed = try await processes.startSimulator(["--scenario", scenario, "--record", recording])
        try processes.startConsumer(bootstrap: kafka.bootstrapServers, databaseURL: url)
        try processes.startKPIService(bootstrap: kafka.bootstrapServers, databaseURL: url)
        let start = ContinuousClock.now
        var producer = try startProducer(processes, feed, kafka)
        var random = SplitMix64(seed: options.seed)
        for kill in 1...options.kills {
            try await Task.sleep(for: .milliseconds(Int.random(in: 200...2000, using: &random)))
            if kill.isMultiple(of: 2) {
                await kafka.kill()
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1000, using: &random)))
                try await kafka.start()
            } else {
                await producer.kill()
                producer = try startProducer(processes, feed, kafka)
            }
            if kill.isMultiple(of: 10) { print("\(kill) of \(options.kills) killed after \(ContinuousClock.now - start)") }
        }
        try await Task.sleep(for: .seconds(2))
        let time = ContinuousClock.now - start
        // First the feed's end, which the producer writes down; then what it has left is sent.
        for process in processes.running where process.name == "feed-simulator" { await process.stop() }
        try await Task.sleep(for: .seconds(1))
        let status = await producer.stop()
        guard status.isSuccess else { throw CampaignError("the producer \(status):\n\(producer.log.suffix(2000))") }
        try await waitUntilStored(client, url)
        await processes.stopAll()
        let seconds = Double(time.components.seconds)
        return try await onThread { [kills = options.kills] in
            try KillProof(kills: kills, seconds: seconds, recording: recording, databaseURL: url)
        }
    }

    private func startProducer(
        _ processes: PipelineProcesses, _ feed: String, _ kafka: KafkaServer
    ) throws -> PipelineProcess {
        try processes.startProducer(feed: feed, bootstrap: kafka.bootstrapServers, symbols: Self.symbols)
    }

    /// Waits until both readers have stored all that the topics hold, as long as they go on.
    private func waitUntilStored(_ client: KafkaClient, _ url: String) async throws {
        let wanted = try await onThread {
            try (0..<Self.partitions).reduce(0) { sum, partition in
                let place = TopicPartition(topic: "trades", partition: Int32(partition))
                return sum + Int(try client.watermarks(place, timeout: .seconds(20)).high)
            }
        }
        let events = try await onThread {
            Int(try client.watermarks(TopicPartition(topic: "feed-events", partition: 0), timeout: .seconds(20)).high)
        }
        var last = -1
        var lastProgress = ContinuousClock.now
        while true {
            let stored = try await onThread {
                var connection = try PostgresConnection(PostgresConfiguration(url, applicationName: "campaign"))
                let row = try connection.query("SELECT coalesce(sum(next_offset), 0) FROM offset_ledger")
                return Int(row.int64(0, 0) ?? 0)
            }
            if stored >= 2 * wanted + events { return }
            if stored > last { (last, lastProgress) = (stored, .now) }
            guard ContinuousClock.now - lastProgress < .seconds(120) else {
                throw CampaignError("the readers stand still: \(stored) of \(2 * wanted + events) records are stored")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
