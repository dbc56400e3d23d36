import Kafka
import Postgres

/// What a reader reads, and where it stores it.
package struct TopicReaderConfiguration: Sendable {
    /// The reader's name in the ledger.
    package var reader: String
    package var topic: String
    /// The properties of the consumer, with its group.
    package var kafka: KafkaSettings
    package var database: PostgresConfiguration
    /// Whether a cluster that was never seen before may be begun.
    package var acceptsNewCluster: Bool
    /// The least time from one commit to the next; zero commits as often as the database allows.
    package var commitInterval: Duration
    /// How long the group has, after another member's claim, to say that the partitions are no longer this member's.
    package var fencedPause = Duration.seconds(7)

    package init(
        reader: String, topic: String, kafka: KafkaSettings, database: PostgresConfiguration, acceptsNewCluster: Bool,
        commitInterval: Duration = .zero
    ) {
        self.reader = reader
        self.topic = topic
        self.kafka = kafka
        self.database = database
        self.acceptsNewCluster = acceptsNewCluster
        self.commitInterval = commitInterval
    }
}
