import Kafka
import ServiceKit
import TradeModel

/// Turns frames of the feed into records of the topic, on the feed's thread: parsed once, written once, handed over.
///
/// Steady work allocates nothing a trade and takes no lock of its own.
final class TradePublisher {
    private let topic: KafkaProducerTopic
    private let source: ShortText
    private let logger: Logger
    private let shutdown: ShutdownSignal
    private var sequence: SequenceNumbers
    private var parser = FeedParser()
    private var repeats = Repeats()
    private let start = ContinuousClock.now
    private var value = ByteWriter(capacity: 1024)
    private var rejectionLog = LogThrottle()

    private let frames: Counter
    private let trades: Counter
    private let rejected: [RejectionReason: Counter]
    private let repeated: Counter
    private let refused: Counter

    init(
        topic: KafkaProducerTopic, source: ShortText, sequence: SequenceNumbers, shutdown: ShutdownSignal,
        logger: Logger, metrics: MetricsRegistry
    ) {
        self.topic = topic
        self.source = source
        self.sequence = sequence
        self.shutdown = shutdown
        self.logger = logger
        frames = metrics.counter("feed_frames_total", "Messages received from the feed")
        trades = metrics.counter("feed_trades_total", "Trades received from the feed and handed to Kafka's client")
        repeated = metrics.counter("feed_trades_repeated_total", "Trades that were identical to one shortly before")
        refused = metrics.counter("kafka_records_refused_total", "Records that Kafka's client did not take")
        rejected = Dictionary(
            uniqueKeysWithValues: RejectionReason.allCases.map { reason in
                (
                    reason,
                    metrics.counter(
                        "feed_items_rejected_total", "Items of the feed that are no trades", ["reason": reason.rawValue]
                    )
                )
            })
    }

    /// What the caller has to know of a frame.
    enum Outcome {
        case published
        /// The feed refuses something, in its own words.
        case feedError(String)
    }

    /// Publishes the trades of one frame.
    /// - Returns: nil when the frame was of no concern.
    func publish(_ frame: UnsafeRawBufferPointer) -> Outcome? {
        frames.increment()
        let message = parser.parse(frame.bindMemory(to: UInt8.self).span)
        switch message {
        case .ping: return nil
        case .error(let text): return .feedError(text)
        case .other(let type):
            logger.debug("the feed sent a message of another type", ["feed.type": type])
            return nil
        case .malformed(let position):
            logger.warning("the feed sent a message that is no JSON", ["feed.position": position])
        case .trades: break
        }
        let now = Timestamp.now()
        let tick = (ContinuousClock.now - start).components
        let milliseconds = tick.seconds * 1000 + tick.attoseconds / 1_000_000_000_000_000
        for trade in parser.trades {
            let before = repeats.count(trade, conditions: trade.conditions.bytes(in: frame), now: milliseconds)
            if before > 0 { repeated.increment() }
            send(trade, frame, now, repeats: before)
        }
        trades.increment(by: Int64(parser.trades.count))
        for rejection in parser.rejections { reject(rejection, frame) }
        return .published
    }

    private func send(_ trade: Trade, _ frame: UnsafeRawBufferPointer, _ now: Timestamp, repeats: Int32) {
        let record = TradeRecord(
            trade: trade, toKafka: now, source: source, sequence: sequence.next(), repeats: repeats)
        value.clear()
        value.write(record, conditionsFrom: frame)
        do throws(KafkaError) {
            while try produce(trade.symbol) == .queueFull {
                // The queue is at its bound: reading waits here, which holds the feed back by its socket. A stop does not
                // wait for brokers that are away.
                guard !shutdown.isRequested else { return refused.increment() }
                topic.producer.poll(milliseconds: 10)
            }
        } catch {
            refused.increment()
            if rejectionLog.allows() {
                logger.error("a trade was not taken by Kafka's client", ["error": "\(error)"])
            }
        }
    }

    private func produce(_ key: ShortText) throws(KafkaError) -> ProduceOutcome {
        let result = key.withBytes { key in
            value.withBytes { value in
                Result { () throws(KafkaError) in try topic.produce(key: key, value: value) }
            }
        }
        return try result.get()
    }

    private func reject(_ rejection: FeedParser.Rejection, _ frame: UnsafeRawBufferPointer) {
        rejected[rejection.reason]?.increment()
        guard rejectionLog.allows() else { return }
        let item = rejection.bytes.bytes(in: frame).prefix(200)
        logger.warning(
            "an item of the feed was rejected",
            ["reason": rejection.reason.rawValue, "feed.item": String(decoding: item, as: UTF8.self)])
    }
}
