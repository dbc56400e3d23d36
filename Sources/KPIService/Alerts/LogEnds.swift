import Kafka

/// Where each partition of the topic of trades begins and ends.
struct LogEnds {
    let cluster: String
    let topic: String
    /// By the partition's number.
    let partitions: [(low: Int64, high: Int64)]
}

/// Asks Kafka for the ends of the topic's partitions. Blocks; one thread at a time.
final class LogEndsReader {
    private let settings: KafkaSettings
    private let events: KafkaEvents
    private let topic: String
    private var client: KafkaClient?

    /// How long one question may take.
    private static let timeout = Duration.seconds(2)

    init(_ settings: KafkaSettings, topic: String, events: KafkaEvents) {
        self.settings = settings
        self.events = events
        self.topic = topic
    }

    func read() throws(KafkaError) -> LogEnds {
        let client: KafkaClient
        if let known = self.client {
            client = known
        } else {
            client = try KafkaClient(settings: settings, events: events)
            self.client = client
        }
        let cluster = try client.clusterID(timeout: Self.timeout)
        var partitions: [(low: Int64, high: Int64)] = []
        for partition in 0..<Int32(clamping: try client.partitionCount(of: topic, timeout: Self.timeout)) {
            let place = TopicPartition(topic: topic, partition: partition)
            partitions.append(try client.watermarks(place, timeout: Self.timeout))
        }
        return LogEnds(cluster: cluster, topic: topic, partitions: partitions)
    }
}
