import ServiceKit
import TradeModel

/// Turns frames of the feed into records in the spool, on the feed's thread: parsed once, written once.
///
/// Steady work allocates nothing a trade and takes no lock of its own.
final class TradePublisher {
    private let writer: SpoolWriter
    private let source: ShortText
    private let counts: FeedCounts
    private let silence: SilenceWatch
    private let logger: Logger
    private var sequence: SequenceNumbers
    private var parser = FeedParser()
    private var repeats = Repeats()
    private let start = ContinuousClock.now
    private var value = ByteWriter(capacity: 1024)
    private var rejectionLog = LogThrottle()

    /// The counters of the symbols met so far: looked up without a lock.
    private var symbols: [ShortText: Counter] = [:]

    /// - Parameter now: the wall clock, below which no sequence number begins.
    init(
        spool: Spool, source: ShortText, at now: Timestamp = .now(), counts: FeedCounts, silence: SilenceWatch,
        logger: Logger
    ) throws(SpoolError) {
        sequence = SequenceNumbers(after: spool.lastSequence, at: now)
        writer = try SpoolWriter(spool, lastSequence: sequence.last, at: now)
        self.source = source
        self.counts = counts
        self.silence = silence
        self.logger = logger
    }

    /// What the caller has to know of a frame.
    enum Outcome {
        /// It had trades.
        case published
        /// The feed refuses something, in its own words.
        case feedError(String)
    }

    /// Publishes the trades of one frame.
    /// - Parameter now: when it came, by the feed's clock.
    /// - Returns: nil when the frame was of no concern.
    func publish(_ frame: UnsafeRawBufferPointer, at now: Timestamp = .now()) -> Outcome? {
        counts.frames.increment()
        defer { writer.publish(at: now) }
        let message = parser.parse(frame.bindMemory(to: UInt8.self).span)
        switch message {
        case .ping: return nil
        case .error(let text): return .feedError(text)
        case .other(let type):
            logger.debug("the feed sent a message of another type", ["feed.type": type])
            return nil
        case .malformed(let position):
            if rejectionLog.allows() {
                logger.warning("the feed sent a message that is no JSON", ["feed.position": position])
            }
        case .trades: break
        }
        let tick = (ContinuousClock.now - start).components
        let milliseconds = tick.seconds * 1000 + tick.attoseconds / 1_000_000_000_000_000
        // Before they are sent, so that no more come out than have come in, whenever somebody looks.
        counts.trades.increment(by: Int64(parser.trades.count))
        for trade in parser.trades {
            let before = repeats.count(trade, conditions: trade.conditions.bytes(in: frame), now: milliseconds)
            if before > 0 { counts.repeated.increment() }
            count(trade.symbol)
            silence.trade(of: trade.symbol, at: now)
            spool(trade, frame, now, repeats: before)
        }
        for rejection in parser.rejections { reject(rejection, frame) }
        return parser.trades.isEmpty ? nil : .published
    }

    private func count(_ symbol: ShortText) {
        if let counter = symbols[symbol] { return counter.increment() }
        guard let counter = counts.addSymbol(symbol) else { return counts.countOther() }
        symbols[symbol] = counter
        counter.increment()
    }

    private func spool(_ trade: Trade, _ frame: UnsafeRawBufferPointer, _ now: Timestamp, repeats: Int32) {
        let record = TradeRecord(
            trade: trade, toKafka: now, source: source, sequence: sequence.next(), repeats: repeats)
        value.clear()
        value.write(record, conditionsFrom: frame)
        do throws(SpoolError) {
            guard try append(record.key) else { return drop("the spool is full") }
            counts.spooled.increment()
        } catch {
            drop("\(error)")
        }
    }

    private func append(_ key: ShortText) throws(SpoolError) -> Bool {
        let result = key.withBytes { key in
            value.withBytes { value in
                Result { () throws(SpoolError) in
                    try writer.append(key: key, value: value, sequence: sequence.last)
                }
            }
        }
        return try result.get()
    }

    @inline(never)
    private func drop(_ problem: String) {
        counts.dropped.increment()
        guard rejectionLog.allows() else { return }
        logger.error("a trade is dropped: it has no place in the spool", ["error": problem])
    }

    /// The feed was heard, be it without a word: a restart will know.
    func heard(at now: Timestamp) { writer.publish(at: now) }

    /// Whether there is a place for whatever one more message brings. While there is none, reading must wait.
    var hasRoom: Bool { writer.spool.hasRoom }

    private func reject(_ rejection: FeedParser.Rejection, _ frame: UnsafeRawBufferPointer) {
        counts.rejected[rejection.reason]?.increment()
        guard rejectionLog.allows() else { return }
        let item = rejection.bytes.bytes(in: frame).prefix(200)
        logger.warning(
            "an item of the feed was rejected",
            ["reason": rejection.reason.rawValue, "feed.item": String(decoding: item, as: UTF8.self)])
    }
}
