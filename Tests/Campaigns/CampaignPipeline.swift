import Foundation
import Kafka
import LocalServers
import Postgres
import TestSupport

/// The whole pipeline on a real Kafka, whose feed writes down what it sends.
@MainActor
final class CampaignPipeline {
    private static let symbols = [
        "AAPL", "AMZN", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "OANDA:EUR_USD", "IC MARKETS:1",
    ]
    private static let partitions = 5
    private static let database = "campaign"

    let kafka: KafkaServer
    private(set) var producer: PipelineProcess
    private let postgres: PostgresServer
    private let processes: PipelineProcesses
    private let directory: TemporaryDirectory
    private let client: KafkaClient
    private let feed: String

    private var recording: String { "\(directory.path)/recording.jsonl" }
    private var databaseURL: String { postgres.connectionString(database: Self.database) }

    /// Starts everything; the feed sends so many trades a second from the first connection on.
    static func start(rate: Int) async throws -> CampaignPipeline {
        guard let home = try KafkaHome.find() else {
            throw CampaignError("KAFKA_HOME must name an unpacked Kafka: an embedded broker forgets its topics")
        }
        let directory = try TemporaryDirectory(prefix: "tickstream-campaign")
        let postgres = try PostgresServer(durability: .disposable)
        let kafka = try KafkaServer(home: home)
        let processes = try PipelineProcesses(directory: "\(directory.path)/pipeline") { print("died: \($0)") }
        do {
            try await postgres.start()
            try await kafka.start()
            try await postgres.createDatabase(database)
            let url = postgres.connectionString(database: database)
            try await processes.migrate(databaseURL: url)
            let client = try KafkaClient(settings: .client(bootstrapServers: kafka.bootstrapServers))
            for (topic, partitions) in [("trades", partitions), ("feed-events", 1), ("alerts", 1)] {
                _ = try await onThread {
                    try KafkaAdmin(client).createTopic(topic, partitions: partitions, replication: 1)
                }
            }
            // Without pings the last thing that was heard is a trade, so that gaps can be held against trades exactly.
            let scenario = "\(directory.path)/steady.scenario"
            try "connection *\n  pings off\n  accept\n  trades forever rate \(rate)\n"
                .write(toFile: scenario, atomically: true, encoding: .utf8)
            let feed = try await processes.startSimulator(
                ["--scenario", scenario, "--record", "\(directory.path)/recording.jsonl"])
            try processes.startConsumer(bootstrap: kafka.bootstrapServers, databaseURL: url)
            try processes.startKPIService(bootstrap: kafka.bootstrapServers, databaseURL: url)
            return try CampaignPipeline(kafka, postgres, processes, directory, client, feed: feed)
        } catch {
            await processes.stopAll()
            await kafka.stop()
            await postgres.stop()
            throw error
        }
    }

    private init(
        _ kafka: KafkaServer, _ postgres: PostgresServer, _ processes: PipelineProcesses,
        _ directory: TemporaryDirectory, _ client: KafkaClient, feed: String
    ) throws {
        self.kafka = kafka
        self.postgres = postgres
        self.processes = processes
        self.directory = directory
        self.client = client
        self.feed = feed
        producer = try processes.startProducer(feed: feed, bootstrap: kafka.bootstrapServers, symbols: Self.symbols)
    }

    /// Kills the producer and starts it anew.
    func killProducer() async throws {
        await producer.kill()
        producer = try processes.startProducer(feed: feed, bootstrap: kafka.bootstrapServers, symbols: Self.symbols)
    }

    /// Ends the feed, lets everything through, and asks the database.
    func prove() async throws -> Proof {
        // First the feed's end, which the producer writes down; then what it has left is sent.
        for process in processes.running where process.name == "feed-simulator" { await process.stop() }
        try await waitUntilSent()
        let status = await producer.stop()
        guard status.isSuccess else { throw CampaignError("the producer \(status):\n\(producer.log.suffix(2000))") }
        try await waitUntilStored()
        await processes.stopAll()
        let (recording, databaseURL) = (recording, databaseURL)
        let verification = try await KPIVerification(databaseURL: databaseURL)
        return try await onThread { try Proof(recording: recording, databaseURL: databaseURL, verification) }
    }

    /// Stops what still runs.
    func stop() async {
        await processes.stopAll()
        await kafka.stop()
        await postgres.stop()
    }

    /// How many records the topic holds.
    func recordCount(of topic: String = "trades") async throws -> Int {
        let client = client
        let partitions = topic == "trades" ? Self.partitions : 1
        return try await onThread {
            try (0..<partitions).reduce(0) { sum, partition in
                let place = TopicPartition(topic: topic, partition: Int32(partition))
                return sum + Int(try client.watermarks(place, timeout: .seconds(20)).high)
            }
        }
    }

    /// Waits until nothing more comes into the topic.
    private func waitUntilSent() async throws {
        var last = -1
        while true {
            try await Task.sleep(for: .seconds(3))
            let count = try await recordCount()
            if count == last { return }
            last = count
        }
    }

    /// Waits until both readers have stored all that the topics hold, as long as they go on.
    private func waitUntilStored() async throws {
        let wanted = try await 2 * recordCount() + recordCount(of: "feed-events")
        let url = databaseURL
        var last = -1
        var lastProgress = ContinuousClock.now
        while true {
            let stored = try await onThread {
                var connection = try PostgresConnection(PostgresConfiguration(url, applicationName: "campaign"))
                return try connection.storedRecords()
            }
            if stored >= wanted { return }
            if stored > last { (last, lastProgress) = (stored, .now) }
            guard ContinuousClock.now - lastProgress < .seconds(120) else {
                throw CampaignError("the readers stand still: \(stored) of \(wanted) records are stored")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
