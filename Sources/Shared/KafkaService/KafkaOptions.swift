import Kafka
import ServiceKit

/// The settings about Kafka that all programs share.
package enum KafkaOptions {
    package static let bootstrapServers = Setting<String>(
        "kafka-bootstrap-servers", isRequired: true, help: "Kafka's brokers as host:port, with commas between them.",
        rule: { $0.split(separator: ",").isEmpty ? "must name at least one broker as host:port" : nil })
    package static let propertiesFile = Setting<String>(
        "kafka-properties-file",
        help: "A file of further librdkafka properties as key=value lines, such as those of TLS and SASL.")
    package static let topic = Setting<String>("trades-topic", default: "trades", help: "The topic of the trades.")
    /// Only for the programs that write or read it.
    package static let eventsTopic = Setting<String>(
        "events-topic", default: "feed-events", help: "The topic of the feed's events: gaps, refusals and counts.")

    package static let all: [any AnySetting] = [bootstrapServers, propertiesFile, topic]

    /// Puts the properties of the file, when there is one, over those that a program sets itself.
    /// - Throws: when the file cannot be read, or a line is no property; values are never shown.
    package static func complete(_ settings: KafkaSettings, from configuration: Configuration) throws -> KafkaSettings {
        guard let path = configuration[optional: propertiesFile] else { return settings }
        var settings = settings
        for (property, value) in try keyValueLines(try readTextFile(path), path: path) {
            settings[property] = value
        }
        return settings
    }
}
