import Kafka
import ServiceKit

/// Sends what the spools hold, and reports what was counted; at the end it waits for Kafka to have everything.
struct DeliveryService: Service {
    let name = "delivery"
    private let spools: Spools
    private let events: FeedEventPublisher
    private let counts: FeedCounts
    private let countersInterval: Duration
    private let logger: Logger
    private let metrics: MetricsRegistry
    private let makeClient: @Sendable (KafkaEvents) throws -> KafkaProducer
    private let isConnected = Gauge()
    private let isStalled = Gauge()

    /// How long a stop waits for Kafka to acknowledge the trades, and then for the last events, and how long without any
    /// acknowledgement. The rest stays in the spool.
    private static let flushTime = Duration.seconds(20)
    private static let lastFlushTime = Duration.seconds(4)
    private static let flushPatience = Duration.seconds(5)
    /// How long Kafka may acknowledge nothing that waits, and not answer when nothing waits, before the program counts as not
    /// ready.
    private let stallTime: Duration

    /// - Parameters:
    ///   - countersInterval: the time from one event `counters` to the next.
    ///   - makeClient: makes a client of Kafka's that tells what it does.
    init(
        spools: Spools, events: FeedEventPublisher, counts: FeedCounts, countersInterval: Duration, logger: Logger,
        metrics: MetricsRegistry, health: Health, stallTime: Duration = .seconds(10),
        makeClient: @escaping @Sendable (KafkaEvents) throws -> KafkaProducer
    ) {
        self.spools = spools
        self.events = events
        self.counts = counts
        self.countersInterval = countersInterval
        self.logger = logger
        self.metrics = metrics
        self.makeClient = makeClient
        self.stallTime = stallTime
        health.require("kafka") { [isConnected, isStalled] in
            if isConnected.value == 0 { return "not reached; what comes is kept in the spool" }
            return isStalled.value == 0 ? nil : "nothing has been heard of it for \(stallTime)"
        }
    }

    func run(until shutdown: ShutdownSignal) throws {
        let trades = TopicSender(spools.tradesTopic, spools.trades, maximumInFlight: 1 << 15, metrics: metrics)
        let others = TopicSender(spools.eventsTopic, spools.events, maximumInFlight: 1 << 10, metrics: metrics)
        logger.info("the spool is open", ["spool.directory": spools.path, "spool.records": spools.trades.recovered])
        let delivery = Delivery([trades, others], logger: logger, metrics: metrics, makeClient: makeClient)
        var report = FeedReport(
            counts: counts, events: events, interval: countersInterval, acknowledged: { trades.acknowledged },
            refused: { trades.refused })
        var lastWaiting = 0
        var lastSign = ContinuousClock.now
        while !shutdown.isRequested {
            try delivery.step(milliseconds: 100)
            report.tellIfDue()
            let waiting = delivery.waiting
            if waiting < lastWaiting { lastSign = .now }
            lastWaiting = waiting
            // Where nothing waits, nothing is acknowledged.
            if waiting == 0, .now - lastSign >= stallTime, delivery.answers() { lastSign = .now }
            isConnected.set(delivery.isConnected ? 1 : 0)
            isStalled.set(.now - lastSign >= stallTime ? 1 : 0)
        }
        try drain(delivery, within: Self.flushTime)
        report.finish()
        try drain(delivery, within: Self.lastFlushTime)
        logger.info("published", ["kafka.acknowledged": trades.acknowledged, "spool.records": delivery.waiting])
        if delivery.waiting > 0 {
            logger.warning(
                "Kafka has not acknowledged everything: the rest stays in the spool, and is sent at the next start",
                ["spool.records": delivery.waiting])
        }
    }

    /// Waits until Kafka has everything, as long as it goes on; not at all when it was never reached.
    private func drain(_ delivery: Delivery, within limit: Duration) throws {
        let deadline = ContinuousClock.now + limit
        var (waiting, lastProgress) = (delivery.waiting, ContinuousClock.now)
        while waiting > 0, delivery.wasConnected, .now < deadline, .now - lastProgress < Self.flushPatience {
            try delivery.step(milliseconds: 100)
            if delivery.waiting < waiting { (waiting, lastProgress) = (delivery.waiting, .now) }
        }
    }
}
