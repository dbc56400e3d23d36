import Foundation
import Kafka
import ServiceKit
import Testing
import TradeModel

@testable import Producer

/// The producer's topics in an embedded cluster, with a publisher's surroundings.
final class TestTopic: Sendable {
    let cluster: EmbeddedKafka
    let topic: KafkaProducerTopic
    let eventsTopic: KafkaProducerTopic
    let events: FeedEventPublisher
    let metrics: MetricsRegistry
    let counts: FeedCounts
    let shutdown = ShutdownSignal()

    init(_ change: (inout KafkaSettings) -> Void = { _ in }) throws {
        cluster = try EmbeddedKafka()
        try cluster.createTopic("trades", partitions: 1)
        try cluster.createTopic("feed-events", partitions: 1)
        var settings = KafkaSettings.producer(bootstrapServers: cluster.bootstrapServers)
        change(&settings)
        let producer = try KafkaProducer(settings: settings)
        topic = try producer.topic("trades")
        eventsTopic = try producer.topic("feed-events")
        metrics = MetricsRegistry()
        counts = FeedCounts(metrics)
        events = FeedEventPublisher(
            topic: eventsTopic, source: ShortText("test")!,
            sequence: SequenceNumbers(after: Timestamp(microseconds: 5000)),
            logger: Logger(label: "test", output: { _ in }), metrics: metrics)
    }

    /// A watch over symbols, by the built-in market hours unless told otherwise.
    func silence(of symbols: [String] = [], _ calendar: MarketCalendar = .builtIn) -> SilenceWatch {
        SilenceWatch(
            calendar: calendar, symbols: symbols, events: events, logger: Logger(label: "test", output: { _ in }),
            metrics: metrics)
    }

    /// A publisher whose numbers begin at 1001.
    func publisher(
        silence: SilenceWatch? = nil, logger: Logger = Logger(label: "test", output: { _ in })
    ) -> TradePublisher {
        TradePublisher(
            topic: topic, source: ShortText("test")!,
            sequence: SequenceNumbers(after: Timestamp(microseconds: 1000)), counts: counts,
            silence: silence ?? self.silence(), shutdown: shutdown, logger: logger)
    }

    /// So many events from the first on; blocks.
    func feedEvents(_ count: Int) throws -> [FeedEvent] {
        try records(count, of: "feed-events").map { record in
            #expect(record.key == "test")
            return try FeedEvent(json: Array(record.value.utf8).span)
        }
    }

    /// The keys and values of so many records from the first on; blocks.
    func records(_ count: Int, of topic: String = "trades") throws -> [(key: String, value: String)] {
        try #require(self.topic.producer.flush(timeout: .seconds(20)) == 0)
        let consumer = try KafkaConsumer(settings: .consumer(bootstrapServers: cluster.bootstrapServers, group: "g"))
        try consumer.assign([TopicPartition(topic: topic, partition: 0): 0])
        let deadline = ContinuousClock.now + .seconds(20)
        var records: [(String, String)] = []
        while records.count < count {
            try #require(ContinuousClock.now < deadline, "\(records.count) of \(count) records came")
            switch consumer.poll(milliseconds: 100) {
            case .record(let record):
                records.append(
                    (String(decoding: record.key, as: UTF8.self), String(decoding: record.value, as: UTF8.self)))
            case .failure(let error, _): throw error
            default: break
            }
        }
        return records
    }
}
