internal import CLibrdkafka

/// A client that only asks the cluster: it neither produces nor consumes, and needs no polling. Thread-safe.
package final class KafkaClient: KafkaCluster {
    package let handle: KafkaHandle

    package init(settings: KafkaSettings, events: KafkaEvents = KafkaEvents()) throws(KafkaError) {
        handle = try KafkaHandle(RD_KAFKA_PRODUCER, settings, events, isPolled: false)
    }
}
