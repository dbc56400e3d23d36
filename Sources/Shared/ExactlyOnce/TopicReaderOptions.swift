import Kafka
import KafkaService
import ServiceKit

/// The settings that all programs with a `TopicReader` share.
package enum TopicReaderOptions {
    package static let acceptNewCluster = Setting<Bool>(
        "accept-new-cluster", default: "false",
        help: "Begin in a Kafka cluster that was never seen before although there are rows from another; they stay.")

    package static let instanceID = Setting<String>(
        "instance-id",
        help: "A name of this member that outlives its process (group.instance.id), each in use once: started again "
            + "within the session it gets its partitions back at once.")

    package static let all: [any AnySetting] =
        KafkaOptions.all + [DatabaseOptions.url, acceptNewCluster, instanceID]

    /// What a reader of the given name reads and where it stores, as configured.
    package static func reader(
        _ name: String, topic: Setting<String> = KafkaOptions.topic, group: String, _ configuration: Configuration,
        commitInterval: Duration = .zero
    ) throws -> TopicReaderConfiguration {
        var kafka = KafkaSettings.consumer(
            bootstrapServers: configuration[KafkaOptions.bootstrapServers], group: group)
        kafka["group.instance.id"] = configuration[optional: instanceID]
        return TopicReaderConfiguration(
            reader: name, topic: configuration[topic],
            kafka: try KafkaOptions.complete(kafka, from: configuration),
            database: try DatabaseOptions.configuration(configuration, applicationName: name),
            acceptsNewCluster: configuration[acceptNewCluster], commitInterval: commitInterval)
    }
}
