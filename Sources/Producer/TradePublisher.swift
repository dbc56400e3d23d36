import Kafka
import ServiceKit
import TradeModel

/// Turns frames of the feed into records of the topic, on the feed's thread: parsed once, written once, handed over.
///
/// Steady work allocates nothing a trade and takes no lock of its own.
final class TradePublisher {
    private let topic: KafkaProducerTopic
    private let source: ShortText
    private let counts: FeedCounts
    private let silence: SilenceWatch
    private let logger: Logger
    private let shutdown: ShutdownSignal
    private var sequence: SequenceNumbers
    private var parser = FeedParser()
    private var repeats = Repeats()
    private let start = ContinuousClock.now
    private var value = ByteWriter(capacity: 1024)
    private var rejectionLog = LogThrottle()

    /// The counters of the symbols met so far: looked up without a lock.
    private var symbols: [ShortText: Counter] = [:]

    init(
        topic: KafkaProducerTopic, source: ShortText, sequence: SequenceNumbers, counts: FeedCounts,
        silence: SilenceWatch, shutdown: ShutdownSignal, logger: Logger
    ) {
        self.topic = topic
        self.source = source
        self.sequence = sequence
        self.counts = counts
        self.silence = silence
        self.shutdown = shutdown
        self.logger = logger
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
        counts.frames.increment()
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
        // Before they are sent, so that no more come out than have come in, whenever somebody looks.
        counts.trades.increment(by: Int64(parser.trades.count))
        for trade in parser.trades {
            let before = repeats.count(trade, conditions: trade.conditions.bytes(in: frame), now: milliseconds)
            if before > 0 { counts.repeated.increment() }
            count(trade.symbol)
            silence.trade(of: trade.symbol, at: now)
            send(trade, frame, now, repeats: before)
        }
        for rejection in parser.rejections { reject(rejection, frame) }
        return .published
    }

    private func count(_ symbol: ShortText) {
        if let counter = symbols[symbol] { return counter.increment() }
        guard let counter = counts.addSymbol(symbol) else { return counts.countOther() }
        symbols[symbol] = counter
        counter.increment()
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
                guard !shutdown.isRequested else { return counts.refused.increment() }
                topic.producer.poll(milliseconds: 10)
            }
        } catch {
            counts.refused.increment()
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
        counts.rejected[rejection.reason]?.increment()
        guard rejectionLog.allows() else { return }
        let item = rejection.bytes.bytes(in: frame).prefix(200)
        logger.warning(
            "an item of the feed was rejected",
            ["reason": rejection.reason.rawValue, "feed.item": String(decoding: item, as: UTF8.self)])
    }
}
