import Foundation
import Kafka
import LocalServers
import Postgres
import TestSupport

/// A real Kafka and a real PostgreSQL, trades that stream into the topic, and the readers.
@MainActor
final class ChaosPipeline {
    private nonisolated static let topic = "trades"
    private nonisolated static let partitions = 6
    private static let database = "chaos"

    let readers: ChaosReaders
    private let kafka: KafkaServer
    private let postgres: PostgresServer
    private let load: TradeLoad
    private let directory: TemporaryDirectory
    private let client: KafkaClient
    /// The broker's start, while that is under way.
    private var bounce: Task<Void, any Error>?

    private var databaseURL: String { postgres.connectionString(database: Self.database) }

    /// Starts everything; so many trades a second stream from now on.
    static func start(rate: Int) async throws -> ChaosPipeline {
        guard let home = try KafkaHome.find() else {
            throw CampaignError("KAFKA_HOME must name an unpacked Kafka: an embedded broker forgets its topics")
        }
        let postgres = try PostgresServer(durability: .disposable)
        let kafka = try KafkaServer(home: home)
        do {
            try await postgres.start()
            try await kafka.start()
            try await postgres.createDatabase(Self.database)
            return try await ChaosPipeline(kafka, postgres, rate: rate)
        } catch {
            await kafka.stop()
            await postgres.stop()
            throw error
        }
    }

    private init(_ kafka: KafkaServer, _ postgres: PostgresServer, rate: Int) async throws {
        self.kafka = kafka
        self.postgres = postgres
        directory = try TemporaryDirectory(prefix: "tickstream-chaos")
        let client = try KafkaClient(settings: .client(bootstrapServers: kafka.bootstrapServers))
        self.client = client
        for (topic, partitions) in [(Self.topic, Self.partitions), ("feed-events", 1), ("alerts", 1)] {
            _ = try await onThread {
                try KafkaAdmin(client).createTopic(topic, partitions: partitions, replication: 1)
            }
        }
        readers = try await ChaosReaders(
            directory: directory.path, bootstrap: kafka.bootstrapServers,
            databaseURL: postgres.connectionString(database: Self.database))
        load = TradeLoad(bootstrap: kafka.bootstrapServers, topic: Self.topic, rate: rate)
    }

    /// Does it, and returns to whom; nil when there is nobody at the moment.
    func inflict(_ fault: Fault, _ random: inout SplitMix64) async throws -> String? {
        try load.check()
        switch fault {
        case .kill: return await readers.kill(&random)
        case .freeze: return readers.freeze(&random)
        case .cut: return try await cutConnection(&random)
        case .join: return try readers.join(&random)
        case .leave: return await readers.leave(&random)
        case .database:
            await postgres.stopAtOnce()
            try await Task.sleep(for: .milliseconds(random.below(1000)))
            try await postgres.start()
            return "PostgreSQL"
        case .broker:
            guard bounce == nil else { return nil }
            await kafka.kill()
            let pause = Duration.milliseconds(random.below(1000))
            // It takes long to start, and more goes wrong meanwhile.
            bounce = Task {
                try await Task.sleep(for: pause)
                try await kafka.start()
                bounce = nil
            }
            return "Kafka"
        }
    }

    /// Ends the load, lets everything through, stops the readers, and asks the database.
    func prove() async throws -> ChaosProof {
        try await bounce?.value
        try readers.restore()
        let acknowledged = try await load.stop()
        try await waitUntilStored()
        await readers.stop()
        let url = databaseURL
        let verification = try await KPIVerification(databaseURL: url)
        return try await onThread { try ChaosProof(acknowledged: acknowledged, databaseURL: url, verification) }
    }

    func stop() async {
        _ = await bounce?.result
        await readers.stop()
        await kafka.stop()
        await postgres.stop()
    }

    /// Ends one of the readers' connections.
    private func cutConnection(_ random: inout SplitMix64) async throws -> String? {
        let (url, number) = (databaseURL, random.below(1 << 20))
        return try await onThread {
            var connection = try PostgresConnection(PostgresConfiguration(url, applicationName: "campaign"))
            let ended = try connection.query(
                """
                WITH backend AS (
                    SELECT pid, application_name, row_number() OVER (ORDER BY pid) - 1 AS place, count(*) OVER () AS count
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())
                SELECT application_name, pid FROM backend
                WHERE place = \(number) % count AND pg_terminate_backend(pid)
                """)
            return ended.rowCount == 0 ? nil : "\(ended.string(0, 0) ?? "")'s connection \(ended.int64(0, 1) ?? 0)"
        }
    }

    /// Waits until consumers and KPI services have stored all that the topic holds, as long as they go on.
    private func waitUntilStored() async throws {
        let client = client
        let wanted = try await onThread {
            try (0..<Int32(Self.partitions)).reduce(0) { sum, partition in
                let place = TopicPartition(topic: Self.topic, partition: partition)
                return sum + 2 * Int(try client.watermarks(place, timeout: .seconds(20)).high)
            }
        }
        let url = databaseURL
        var last = -1
        var lastProgress = ContinuousClock.now
        while true {
            try readers.tend()
            let stored = try await onThread {
                var connection = try PostgresConnection(PostgresConfiguration(url, applicationName: "campaign"))
                return try connection.storedRecords()
            }
            if stored == wanted { return }
            if stored > last { (last, lastProgress) = (stored, .now) }
            guard ContinuousClock.now - lastProgress < .seconds(240) else {
                let positions = try await onThread { try Self.positions(url) }
                throw CampaignError(
                    "the readers stand still: \(stored) of \(wanted) records are stored\n\(positions)")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Where each reader stands, who has the partition, and why it is not read on.
    nonisolated private static func positions(_ url: String) throws -> String {
        var connection = try PostgresConnection(PostgresConfiguration(url, applicationName: "campaign"))
        let rows = try connection.query(
            """
            SELECT concat_ws(' ', reader, partition, next_offset, owner, updated_at, fault) FROM offset_ledger ORDER BY 1
            """)
        return (0..<rows.rowCount).map { rows.string($0, 0) ?? "" }.joined(separator: "\n")
    }
}
