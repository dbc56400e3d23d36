import Kafka
import KafkaService
import Migrations
import Postgres
import ServiceKit

/// Sees to it that the database has the schema that this program was built for.
/// - Throws: `MigrationError`, which says what to do; `PostgresError` when the database cannot be reached.
package func requireSchema(of database: PostgresConfiguration) throws {
    var connection = try PostgresConnection(database)
    try Migrator.tickstream.requireVersion(&connection)
}

extension TopicReaderConfiguration {
    /// Tries whatever the reader will need, and logs what it finds.
    /// - Throws: the first thing that is wrong.
    package func check(_ logger: Logger) throws {
        try requireSchema(of: database)
        logger.info("the database is reachable, its schema right", ["database": self.database.redactedDescription])
        let client = try KafkaConsumer(settings: kafka, events: KafkaEvents(logger: logger))
        let cluster = try client.clusterID(timeout: .seconds(10))
        let metadata = try client.metadata(of: topic, timeout: .seconds(10))
        logger.info(
            "Kafka is reachable, the topic exists",
            [
                "kafka.topic": topic, "kafka.partitions": metadata.partitionCount, "kafka.cluster": cluster,
            ])
    }
}
