import Kafka
import ServiceKit

/// Takes in Kafka's acknowledgements, and at the end waits for the last of them. Meanwhile it reports what was counted.
struct DeliveryService: Service {
    let name = "delivery"
    private let topic: KafkaProducerTopic
    private let events: FeedEventPublisher
    private let counts: FeedCounts
    private let countersInterval: Duration
    private let logger: Logger
    private let isStalled = Gauge()
    private static let flushTime = Duration.seconds(30)
    /// How long nothing may be acknowledged while something waits for it, before the program counts as not ready.
    private static let stallTime = Duration.seconds(10)

    /// How long the last events may take, once the brokers have acknowledged all else.
    private static let lastFlushTime = Duration.seconds(4)

    private var producer: KafkaProducer { topic.producer }

    /// - Parameters:
    ///   - topic: where the trades go; the events go by the same producer.
    ///   - countersInterval: the time from one event `counters` to the next.
    init(
        topic: KafkaProducerTopic, events: FeedEventPublisher, counts: FeedCounts, countersInterval: Duration,
        logger: Logger, metrics: MetricsRegistry, health: Health
    ) {
        self.topic = topic
        self.events = events
        self.counts = counts
        self.countersInterval = countersInterval
        self.logger = logger
        health.require("kafka") { [isStalled] in
            isStalled.value == 0 ? nil : "records wait, and none has been acknowledged for \(Self.stallTime)"
        }
        for topic in [topic, events.topic] {
            let labels: MetricsRegistry.Labels = ["topic": topic.name]
            metrics.reading(
                "kafka_records_enqueued_total", "Records handed to Kafka's client", labels, isCount: true
            ) { Double(topic.enqueuedCount) }
            metrics.reading(
                "kafka_records_acknowledged_total", "Records that Kafka has acknowledged", labels, isCount: true
            ) { Double(topic.acknowledgedCount) }
            metrics.reading(
                "kafka_records_failed_total", "Records that Kafka's client gave up", labels, isCount: true
            ) { Double(topic.failedCount) }
        }
    }

    func run(until shutdown: ShutdownSignal) throws {
        var report = FeedReport(counts: counts, topic: topic, events: events, interval: countersInterval)
        var lastCount = 0
        var lastProgress = ContinuousClock.now
        while !shutdown.isRequested {
            producer.poll(milliseconds: 100)
            report.tellIfDue()
            events.deliver()
            if let failure = producer.fatalFailure { throw failure }
            let count = producer.acknowledgedCount
            if count != lastCount || producer.outstanding == 0 { (lastCount, lastProgress) = (count, .now) }
            isStalled.set(ContinuousClock.now - lastProgress < Self.stallTime ? 0 : 1)
        }
        _ = producer.flush(timeout: Self.flushTime)
        report.finish()
        events.deliver()
        let unacknowledged = producer.flush(timeout: Self.lastFlushTime)
        logger.info(
            "published",
            [
                "kafka.acknowledged": topic.acknowledgedCount, "kafka.failed": producer.failedCount,
                "kafka.unacknowledged": unacknowledged,
            ])
        guard unacknowledged == 0, producer.failedCount == 0 else {
            throw DeliveryError(unacknowledged: unacknowledged, failed: producer.failedCount)
        }
    }
}

/// Not every record was acknowledged when the program had to end.
struct DeliveryError: Error, CustomStringConvertible {
    let unacknowledged: Int
    let failed: Int

    var description: String {
        "\(unacknowledged) records were not acknowledged by Kafka in time and \(failed) were given up: they may be missing "
            + "from the topic"
    }
}
