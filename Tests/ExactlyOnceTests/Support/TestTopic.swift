import Foundation
import Kafka
import LocalServers
import TestSupport

/// A topic of its own for a test: in an embedded cluster of its own, or in the broker that `KAFKA_HOME` starts.
struct TestTopic: Sendable {
    /// The broker that all tests of the process share; nil where the embedded one is used.
    private static let broker = Task { () throws -> KafkaServer? in
        guard let path = ProcessInfo.processInfo.environment["KAFKA_HOME"] else { return nil }
        let server = try KafkaServer(home: try KafkaHome(path: path))
        try await server.start()
        return server
    }

    let name = "trades-\(UUID().uuidString.prefix(8).lowercased())"
    let partitions: Int
    let servers: String
    let embedded: EmbeddedKafka?
    let broker: KafkaServer?

    init(partitions: Int = 1) async throws {
        self.partitions = partitions
        broker = try await Self.broker.value
        guard let broker else {
            let embedded = try EmbeddedKafka()
            try embedded.createTopic(name, partitions: partitions)
            (self.embedded, servers) = (embedded, embedded.bootstrapServers)
            return
        }
        (embedded, servers) = (nil, broker.bootstrapServers)
        try await onThread { [name, servers] in
            let client = try KafkaClient(settings: .client(bootstrapServers: servers))
            _ = try KafkaAdmin(client).createTopic(name, partitions: partitions, replication: 1)
        }
    }

    func producer() throws -> KafkaProducerTopic {
        try KafkaProducer(settings: .producer(bootstrapServers: servers)).topic(name)
    }

    /// Produces `count` records of `size` bytes to each partition, and waits until they are stored.
    func fill(count: Int, size: Int = 10) throws {
        let topic = try producer()
        let value = [UInt8](repeating: 0x78, count: size)
        for _ in 0..<count {
            for partition in 0..<partitions {
                try topic.produce(value, partition: Int32(partition))
            }
        }
        guard topic.producer.flush(timeout: hangLimit) == 0, topic.producer.failedCount == 0 else {
            throw TestFailure("the records were not produced")
        }
    }

    /// Produces numbered records of a source to one partition or all, and waits until they are stored.
    func send(_ source: String, _ sequences: Range<Int>, to partition: Int32? = nil) throws {
        let topic = try producer()
        for sequence in sequences {
            for partition in partition.map({ $0...$0 }) ?? 0...Int32(partitions) - 1 {
                try topic.produce(Array("\(source) \(sequence)".utf8), partition: partition)
            }
        }
        guard topic.producer.flush(timeout: hangLimit) == 0, topic.producer.failedCount == 0 else {
            throw TestFailure("the records were not produced")
        }
    }

    /// How many records all partitions have ever had.
    func recordCount() throws -> Int {
        let client = try KafkaClient(settings: .client(bootstrapServers: servers))
        return try (0..<Int32(partitions)).reduce(0) { sum, partition in
            let place = TopicPartition(topic: name, partition: partition)
            return sum + Int(try client.watermarks(place, timeout: hangLimit).high)
        }
    }
}

extension KafkaProducerTopic {
    /// Produces, however long the queue is full.
    func produce(_ value: [UInt8], partition: Int32) throws {
        try value.withUnsafeBytes { value in
            let noKey = UnsafeRawBufferPointer(start: nil, count: 0)
            while try produce(key: noKey, value: value, partition: partition) == .queueFull {
                producer.poll(milliseconds: 10)
            }
        }
    }
}
