import Kafka
import KafkaService
import ServiceKit

/// The settings that all programs with a `TopicReader` share.
package enum TopicReaderOptions {
    package static let acceptNewCluster = Setting<Bool>(
        "accept-new-cluster", default: "false",
        help: "Begin in a Kafka cluster that was never seen before although there are rows from another; they stay.")

    package static let all: [any AnySetting] =
        KafkaOptions.all + [DatabaseOptions.url, acceptNewCluster]

    /// What a reader of the given name reads and where it stores, as configured.
    package static func reader(
        _ name: String, topic: Setting<String> = KafkaOptions.topic, group: String, _ configuration: Configuration,
        commitInterval: Duration = .zero
    ) throws -> TopicReaderConfiguration {
        let kafka = KafkaSettings.consumer(
            bootstrapServers: configuration[KafkaOptions.bootstrapServers], group: group)
        return TopicReaderConfiguration(
            reader: name, topic: configuration[topic],
            kafka: try KafkaOptions.complete(kafka, from: configuration),
            database: try DatabaseOptions.configuration(configuration, applicationName: name),
            acceptsNewCluster: configuration[acceptNewCluster], commitInterval: commitInterval)
    }
}
