import Foundation
import Kafka
import TestSupport
import Testing

/// The cluster that the tests run on: embedded, or the broker that `TICKSTREAM_TEST_KAFKA` (`host:port`) names.
struct TestCluster: Sendable {
    static let realServers = ProcessInfo.processInfo.environment["TICKSTREAM_TEST_KAFKA"]

    let embedded: EmbeddedKafka?
    let servers: String

    init() throws {
        if let servers = Self.realServers {
            embedded = nil
            self.servers = servers
        } else {
            let embedded = try EmbeddedKafka()
            self.embedded = embedded
            servers = embedded.bootstrapServers
        }
    }

    /// Runs a blocking test on a thread of its own with a cluster and a topic that is gone afterwards.
    static func run(
        partitions: Int = 1, _ body: @escaping @Sendable (TestCluster, _ topic: String) throws -> Void
    ) async throws {
        try await onThread {
            let cluster = try TestCluster()
            let topic = "test-\(UUID().uuidString.lowercased())"
            guard let embedded = cluster.embedded else {
                let admin = KafkaAdmin(try KafkaClient(settings: .client(bootstrapServers: cluster.servers)))
                #expect(try admin.createTopic(topic, partitions: partitions, replication: 1) == .created)
                defer { #expect(throws: Never.self) { try admin.deleteTopic(topic) } }
                return try body(cluster, topic)
            }
            try embedded.createTopic(topic, partitions: partitions)
            try body(cluster, topic)
        }
    }

    /// The name of a topic that does not exist.
    func missingTopic() -> String {
        let name = "missing-\(UUID().uuidString.lowercased())"
        embedded?.denyTopic(name)
        return name
    }

    func producer(
        _ events: KafkaEvents = KafkaEvents(), _ change: (inout KafkaSettings) -> Void = { _ in }
    ) throws -> KafkaProducer {
        var settings = KafkaSettings.producer(bootstrapServers: servers)
        change(&settings)
        return try KafkaProducer(settings: settings, events: events)
    }

    func consumer(
        group: String = UUID().uuidString, _ events: KafkaEvents = KafkaEvents(),
        _ change: (inout KafkaSettings) -> Void = { _ in }
    ) throws -> KafkaConsumer {
        var settings = KafkaSettings.consumer(bootstrapServers: servers, group: group)
        change(&settings)
        return try KafkaConsumer(settings: settings, events: events)
    }

    /// Stores `count` records in each partition, whose values are their offsets.
    func fill(_ topic: String, partitions: Range<Int32> = 0..<1, count: Int) throws {
        let producer = try producer()
        let target = try producer.topic(topic)
        for partition in partitions {
            for offset in 0..<count { try target.send(key: "k", "\(offset)", partition: partition) }
        }
        try #require(producer.flush(timeout: hangLimit) == 0)
        try #require(producer.acknowledgedCount == count * partitions.count)
    }
}

extension KafkaProducerTopic {
    /// Produces strings; `nil` is an absent key or value.
    @discardableResult
    func send(key: String?, _ value: String?, partition: Int32? = nil) throws -> ProduceOutcome {
        try withBytes(key) { key in
            try withBytes(value) { value in try produce(key: key, value: value, partition: partition) }
        }
    }
}

private func withBytes<R>(_ text: String?, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    guard let text else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    // The byte behind gives an empty string an address too.
    return try (Array(text.utf8) + [0]).withUnsafeBytes {
        try body(UnsafeRawBufferPointer(start: $0.baseAddress, count: $0.count - 1))
    }
}

/// Collects what callbacks report.
final class Journal<Entry: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var list: [Entry] = []

    func add(_ entry: Entry) { lock.withLock { list.append(entry) } }
    var entries: [Entry] { lock.withLock { list } }
}
