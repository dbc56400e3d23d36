import Glibc
import Kafka
import LocalServers

/// The broker that the stages share: a real Kafka where there is one, else the embedded one.
@MainActor
final class Broker {
    private static let partitions = 5

    private let server: KafkaServer?
    private var topics = 0

    /// Starts a Kafka from the distribution at `KAFKA_HOME`.
    static func start() async throws -> Broker {
        guard let home = try KafkaHome.find() else { return Broker(server: nil) }
        let server = try KafkaServer(home: home)
        try await server.start()
        return Broker(server: server)
    }

    private init(server: KafkaServer?) {
        self.server = server
    }

    /// `kafka` or `embedded`.
    var name: String { server == nil ? "embedded" : "kafka" }

    /// What people have to know of it.
    var summary: String {
        server == nil
            ? "the embedded one, in this process: no Kafka (see KAFKA_HOME); a partition of it keeps 5 MiB, so the "
                + "topic for the readers has many, filled evenly"
            : "one node of Apache Kafka, topics of 5 partitions"
    }

    /// Makes an empty topic. An embedded one has a cluster of its own, whose memory goes with it.
    /// - Parameter records: how many it must keep for a reader; where nobody reads it, the embedded one may forget some.
    func makeTopic(keeping records: Int = 0) throws -> Topic {
        topics += 1
        let name = "bench-\(topics)"
        guard let server else {
            // A record takes some 250 bytes.
            let partitions = records == 0 ? Self.partitions : max(64, records / 15_000)
            let cluster = try EmbeddedKafka()
            try cluster.createTopic(name, partitions: partitions)
            try cluster.createTopic(Topic.events, partitions: 1)
            return try Topic(
                name: name, partitions: partitions, bootstrapServers: cluster.bootstrapServers, cluster: cluster)
        }
        let topic = try Topic(
            name: name, partitions: Self.partitions, bootstrapServers: server.bootstrapServers, cluster: nil)
        _ = try KafkaAdmin(topic.client).createTopic(name, partitions: Self.partitions, replication: 1)
        _ = try KafkaAdmin(topic.client).createTopic(Topic.events, partitions: 1, replication: 1)
        return topic
    }

    /// Removes a topic with its records.
    func delete(_ topic: Topic) throws {
        if server != nil { try KafkaAdmin(topic.client).deleteTopic(topic.name) }
    }
}

/// A topic of a run.
final class Topic: Sendable {
    /// The topic of the feed's events, under the programs' own name for it: beside those of all runs.
    static let events = "feed-events"

    let name: String
    let partitions: Int
    let bootstrapServers: String
    let client: KafkaClient
    /// The cluster that has no other run's topic; nil on a real Kafka.
    private let cluster: EmbeddedKafka?

    init(name: String, partitions: Int, bootstrapServers: String, cluster: EmbeddedKafka?) throws {
        self.name = name
        self.partitions = partitions
        self.bootstrapServers = bootstrapServers
        self.cluster = cluster
        client = try KafkaClient(settings: .client(bootstrapServers: bootstrapServers))
    }

    /// Whether records have to be spread evenly to find room.
    var isEmbedded: Bool { cluster != nil }

    /// How many records have ever been written to it.
    func recordCount() throws -> Int {
        try (0..<partitions).reduce(0) { sum, partition in sum + (try recordCount(of: Int32(partition))) }
    }

    private func recordCount(of partition: Int32) throws(KafkaError) -> Int {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                let place = TopicPartition(topic: name, partition: partition)
                return Int(try client.watermarks(place, timeout: .seconds(10)).high)
            } catch {
                // A broker that has just taken the partition over refuses for a moment.
                guard error.isRetriable, ContinuousClock.now < deadline else { throw error }
                usleep(10_000)
            }
        }
    }
}
