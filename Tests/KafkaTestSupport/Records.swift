import Kafka
import TestSupport

/// A topic of one partition in an embedded cluster, whose records are read straight into a batch.
package struct Records {
    private let cluster: EmbeddedKafka
    private let topic: KafkaProducerTopic
    private let consumer: KafkaConsumer

    /// Makes the cluster and the topic.
    package init(topic name: String = "trades") throws {
        cluster = try EmbeddedKafka()
        try cluster.createTopic(name, partitions: 1)
        topic = try KafkaProducer(settings: .producer(bootstrapServers: cluster.bootstrapServers)).topic(name)
        consumer = try KafkaConsumer(
            settings: .consumer(bootstrapServers: cluster.bootstrapServers, group: "tests"))
        try consumer.assign([TopicPartition(topic: name, partition: 0): 0])
    }

    /// Produces values, of which nil is none at all, and lends each as a consumed record.
    package func forEach(_ values: [[UInt8]?], _ body: (borrowing KafkaRecord) throws -> Void) throws {
        for value in values { try produce(value) }
        guard topic.producer.flush(timeout: hangLimit) == 0, topic.producer.failedCount == 0 else {
            throw TestFailure("the records were not produced")
        }
        let deadline = ContinuousClock.now + hangLimit
        var count = 0
        while count < values.count {
            guard ContinuousClock.now < deadline else { throw TestFailure("the records do not come back") }
            switch consumer.poll(milliseconds: 100) {
            case .record(let record):
                try body(record)
                count += 1
            case .failure(let error, _): throw error
            default: break
            }
        }
    }

    /// The same of texts.
    package func forEach(_ values: [String], _ body: (borrowing KafkaRecord) throws -> Void) throws {
        try forEach(values.map { Array($0.utf8) }, body)
    }

    private func produce(_ value: [UInt8]?) throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        guard let value else {
            _ = try topic.produce(key: none, value: none)
            return
        }
        // The byte behind gives an empty value an address too.
        _ = try (value + [0]).withUnsafeBytes {
            try topic.produce(key: none, value: UnsafeRawBufferPointer(rebasing: $0.dropLast()))
        }
    }
}
