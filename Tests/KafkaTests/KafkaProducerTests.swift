import Foundation
import Kafka
import TestSupport
import Testing

@Suite struct KafkaProducerTests {
    @Test func `what is produced is consumed byte for byte, in order and without a hole`() async throws {
        try await TestCluster.run { cluster, topic in
            let start = Int64(Date().timeIntervalSince1970 * 1000)
            let producer = try cluster.producer()
            let target = try producer.topic(topic)
            let records: [(key: String?, value: String?)] =
                [("BINANCE:BTCUSDT", "{\"p\":1.50}"), (nil, "no key"), ("", "empty key"), ("empty value", "")]
                + [("no value", nil)] + (0..<5000).map { ("key \($0)", "value \($0) \u{0} \u{1F600}") }
            for record in records {
                #expect(try target.send(key: record.key, record.value) == .enqueued)
            }
            #expect(producer.enqueuedCount == records.count)
            #expect(producer.flush(timeout: hangLimit) == 0)
            #expect(producer.acknowledgedCount == records.count)
            #expect(producer.failedCount == 0)
            #expect(producer.outstanding == 0)
            #expect(producer.fatalFailure == nil)

            let consumer = try cluster.consumer()
            try consumer.assign([TopicPartition(topic: topic, partition: 0): 0])
            let received = try consumer.records(records.count)
            #expect(received.map(\.key) == records.map(\.key))
            #expect(received.map(\.value) == records.map(\.value))
            #expect(received.map(\.offset) == Array(0..<Int64(records.count)))
            let end = Int64(Date().timeIntervalSince1970 * 1000)
            #expect(received.allSatisfy { (start...end).contains($0.timestamp) })
            #expect(received.allSatisfy { $0.place == TopicPartition(topic: topic, partition: 0) })
        }
    }

    @Test func `a record knows its topic without making a string`() async throws {
        try await TestCluster.run { cluster, topic in
            try cluster.fill(topic, count: 1)
            let consumer = try cluster.consumer()
            try consumer.assign([TopicPartition(topic: topic, partition: 0): 0])
            let (isItsTopic, isAnother) = try ContinuousClock.wait(for: "the record") { () -> (Bool, Bool)? in
                guard case .record(let record) = consumer.poll(milliseconds: 100) else { return nil }
                return (record.isFrom(topic: topic), record.isFrom(topic: topic + "x"))
            }
            #expect(isItsTopic)
            #expect(!isAnother)
        }
    }

    @Test func `keys land in the partitions that Kafka's own clients choose`() async throws {
        // From the tests of Kafka's Utils.murmur2: the hash of each key.
        let hashes: [(key: String, hash: Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829), ("abc", 479_470_107),
        ]
        try await TestCluster.run(partitions: 5) { cluster, topic in
            let producer = try cluster.producer()
            let target = try producer.topic(topic)
            for (key, _) in hashes { try target.send(key: key, key) }
            #expect(producer.flush(timeout: hangLimit) == 0)

            let consumer = try cluster.consumer()
            try consumer.assign((0..<5).map { TopicPartition(topic: topic, partition: $0) }.all(at: 0))
            let received = try consumer.records(hashes.count)
            for (key, hash) in hashes {
                #expect(received.first { $0.key == key }?.place.partition == (hash & 0x7fff_ffff) % 5, "key \(key)")
            }
        }
    }

    @Test func `a full queue is an outcome, flush counts what is left, and purge hands every record back`() async throws
    {
        try await onThread {
            let lost = Journal<(error: KafkaError, key: String, value: String)>()
            let errors = Journal<KafkaError>()
            let events = KafkaEvents(
                error: errors.add,
                deliveryFailure: { error, key, value in
                    lost.add((error, String(decoding: key, as: UTF8.self), String(decoding: value, as: UTF8.self)))
                })
            // Nobody listens on port 1.
            var settings = KafkaSettings.producer(bootstrapServers: "127.0.0.1:1")
            settings["queue.buffering.max.messages"] = "10"
            let producer = try KafkaProducer(settings: settings, events: events)
            let target = try producer.topic("trades")
            for index in 0..<10 { #expect(try target.send(key: "k\(index)", "v\(index)") == .enqueued) }
            #expect(try target.send(key: "k", "v") == .queueFull)
            #expect(producer.enqueuedCount == 10)

            #expect(producer.flush(timeout: .milliseconds(50)) == 10)
            try ContinuousClock.wait(for: "the error of the absent broker") {
                producer.poll(milliseconds: 100)
                return errors.entries.first { $0.isRetriable && !$0.isFatal }
            }

            #expect(producer.purge(timeout: hangLimit) == 0)
            #expect(producer.outstanding == 0)
            #expect(producer.failedCount == 10)
            #expect(producer.acknowledgedCount == 0)
            #expect(lost.entries.map(\.key).sorted() == (0..<10).map { "k\($0)" })
            #expect(lost.entries.map(\.value).sorted() == (0..<10).map { "v\($0)" })
            #expect(lost.entries.allSatisfy { $0.error.name == "_PURGE_QUEUE" })
            #expect(
                lost.entries.allSatisfy { $0.error.reason.contains("trades") && !$0.error.reason.contains($0.value) })
        }
    }

    @Test(.enabled(if: TestCluster.realServers == nil, "takes the embedded broker down"))
    func `records wait for a broker that is away and arrive when it is back`() async throws {
        try await TestCluster.run { cluster, topic in
            let embedded = try #require(cluster.embedded)
            let producer = try cluster.producer()
            let target = try producer.topic(topic)
            try target.send(key: "k", "before")
            #expect(producer.flush(timeout: hangLimit) == 0)

            embedded.setBrokers(up: false)
            for index in 0..<100 { try target.send(key: "k", "\(index)") }
            #expect(producer.flush(timeout: .milliseconds(100)) == 100)
            embedded.setBrokers(up: true)
            #expect(producer.flush(timeout: hangLimit) == 0)
            #expect(producer.acknowledgedCount == 101)
        }
    }

    @Test func `a record for a topic that does not exist fails with the topic's name and its bytes`() async throws {
        try await TestCluster.run { cluster, _ in
            let topic = cluster.missingTopic()
            let failures = Journal<(KafkaError, String)>()
            let events = KafkaEvents(deliveryFailure: { error, _, value in
                failures.add((error, String(decoding: value, as: UTF8.self)))
            })
            let producer = try cluster.producer(events) {
                $0["topic.metadata.propagation.max.ms"] = "100"
            }
            try producer.topic(topic).send(key: "k", "v")
            let (error, value) = try ContinuousClock.wait(for: "the failure") {
                producer.poll(milliseconds: 100)
                return failures.entries.first
            }
            #expect(error.reason.contains(topic))
            #expect(error.name == "_UNKNOWN_TOPIC" || error.name == "UNKNOWN_TOPIC_OR_PART")
            #expect(value == "v")
            #expect(producer.failedCount == 1)
        }
    }

    @Test func `a record that is too large is refused with the topic's name`() async throws {
        try await TestCluster.run { cluster, topic in
            let target = try cluster.producer().topic(topic)
            let error = #expect(throws: KafkaError.self) {
                try target.send(key: nil, String(repeating: "x", count: 2_000_000))
            }
            #expect(error?.name == "MSG_SIZE_TOO_LARGE")
            #expect(error?.reason.contains(topic) == true)
            #expect(target.producer.enqueuedCount == 0)
        }
    }

    @Test func `a topic keeps its producer, and with both gone the callbacks are let go`() async throws {
        try await onThread {
            weak var journal: Journal<String>?
            do {
                let strong = Journal<String>()
                journal = strong
                let events = KafkaEvents(log: { _, _, message in strong.add(message) })
                let target = try KafkaProducer(settings: .producer(bootstrapServers: "127.0.0.1:1"), events: events)
                    .topic("trades")
                #expect(try target.send(key: "k", "v") == .enqueued)
                #expect(target.producer.outstanding == 1)
            }
            #expect(journal == nil)
        }
    }
}
