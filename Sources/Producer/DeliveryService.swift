import Kafka
import ServiceKit

/// Takes in Kafka's acknowledgements, and at the end waits for the last of them.
struct DeliveryService: Service {
    let name = "delivery"
    private let producer: KafkaProducer
    private let logger: Logger
    private let isStalled = Gauge()
    private static let flushTime = Duration.seconds(30)
    /// How long nothing may be acknowledged while something waits for it, before the program counts as not ready.
    private static let stallTime = Duration.seconds(10)

    init(producer: KafkaProducer, logger: Logger, metrics: MetricsRegistry, health: Health) {
        self.producer = producer
        self.logger = logger
        health.require("kafka") { [isStalled] in
            isStalled.value == 0 ? nil : "records wait, and none has been acknowledged for \(Self.stallTime)"
        }
        metrics.reading("kafka_records_enqueued_total", "Records handed to Kafka's client", isCount: true) {
            Double(producer.enqueuedCount)
        }
        metrics.reading("kafka_records_acknowledged_total", "Records that Kafka has acknowledged", isCount: true) {
            Double(producer.acknowledgedCount)
        }
        metrics.reading("kafka_records_failed_total", "Records that Kafka's client gave up", isCount: true) {
            Double(producer.failedCount)
        }
    }

    func run(until shutdown: ShutdownSignal) throws {
        var lastCount = 0
        var lastProgress = ContinuousClock.now
        while !shutdown.isRequested {
            producer.poll(milliseconds: 100)
            if let failure = producer.fatalFailure { throw failure }
            let count = producer.acknowledgedCount
            if count != lastCount || producer.outstanding == 0 { (lastCount, lastProgress) = (count, .now) }
            isStalled.set(ContinuousClock.now - lastProgress < Self.stallTime ? 0 : 1)
        }
        let unacknowledged = producer.flush(timeout: Self.flushTime)
        logger.info(
            "published",
            [
                "kafka.acknowledged": producer.acknowledgedCount, "kafka.failed": producer.failedCount,
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
