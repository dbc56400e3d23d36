import Kafka
import ServiceKit

/// Sends the records of one spool to their topic, and notes what becomes of them. Used on the delivery's thread only.
final class TopicSender {
    /// What `send` came to.
    enum Progress {
        /// Everything that is there is sent.
        case caughtUp
        /// No more can be sent before Kafka has acknowledged some.
        case blocked
        /// There is more to send at once.
        case more
    }

    let name: String
    private let spool: Spool
    private let reader: SpoolReader
    private var topic: KafkaProducerTopic?
    private var resentBelow: Int
    private var lastSync = ContinuousClock.now
    private var writtenAtSync = 0
    private var firstUnsynced = 0

    private let sentCount: Counter
    private let acknowledgedCount: Counter
    private let resentCount: Counter
    private let refusedCount: Counter
    private let waitingCount: Gauge

    /// How many records go out before acknowledgements are taken in.
    private static let burst = 1024
    /// How long what Kafka has not acknowledged may be without a place on the disk.
    private static let syncInterval = Duration.seconds(1)

    /// - Parameter maximumInFlight: how many records may be unacknowledged before sending waits; a power of two.
    init(_ name: String, _ spool: Spool, maximumInFlight: Int, metrics: MetricsRegistry) {
        self.name = name
        self.spool = spool
        reader = SpoolReader(spool, maximumInFlight: maximumInFlight)
        // What a former run has left, it may have sent.
        resentBelow = spool.recovered
        let labels: MetricsRegistry.Labels = ["topic": name]
        sentCount = metrics.counter("kafka_records_sent_total", "Records handed to Kafka's client", labels)
        acknowledgedCount = metrics.counter(
            "kafka_records_acknowledged_total", "Records that Kafka has acknowledged, each counted once", labels)
        resentCount = metrics.counter(
            "kafka_records_resent_total", "Records sent again, or left by a former run: Kafka may have had them", labels
        )
        refusedCount = metrics.counter(
            "kafka_records_refused_total", "Records that are too large for Kafka's client",
            labels)
        waitingCount = metrics.gauge(
            "spool_records", "Records in the spool that Kafka has not acknowledged", labels)
        metrics.reading("spool_bytes", "Bytes that the spool takes on disk", labels) { Double(spool.bytes) }
        waitingCount.set(Int64(reader.waiting))
    }

    /// Records that Kafka has not acknowledged.
    var waiting: Int { reader.waiting }
    /// Records that Kafka has acknowledged in this run.
    var acknowledged: Int64 { acknowledgedCount.value }
    /// Records that cannot be sent at all.
    var refused: Int64 { refusedCount.value }

    /// Sends by a client from now on.
    func connect(_ producer: KafkaProducer) throws(KafkaError) {
        topic = try producer.topic(name)
        spool.setWake { [weak producer] in producer?.wake() }
    }

    /// Lets go of the client, and begins again with the first record that is not acknowledged.
    func disconnect() {
        topic = nil
        resentBelow = max(resentBelow, reader.sent)
        reader.rewind()
    }

    /// Sends what is there, up to a bound.
    /// - Parameter mark: makes a record's token one of this topic's.
    func send(mark: (Int) -> Int) throws -> Progress {
        guard let topic else { return .blocked }
        for _ in 0..<Self.burst {
            guard let record = try reader.next() else { return reader.isBlocked ? .blocked : .caughtUp }
            do throws(KafkaError) {
                let outcome = try topic.send(key: record.key, value: record.value, token: mark(record.token))
                guard outcome == .enqueued else { return .blocked }
                sentCount.increment()
                if record.token < resentBelow { resentCount.increment() }
                reader.advance()
            } catch {
                // Too large for ever, it would hold up all behind it. Whatever else is the matter may pass, such as a topic
                // that is gone for a while: the record stays.
                guard error.name == "MSG_SIZE_TOO_LARGE" else { throw error }
                refusedCount.increment()
                reader.advance()
                try reader.acknowledge(record.token)
            }
        }
        return .more
    }

    /// Has the client woken when more is there; false when there is some already.
    func awaitMore() -> Bool { spool.await(beyond: reader.sent) }

    /// Kafka has acknowledged these records.
    func acknowledge(_ token: Int) throws(SpoolError) {
        let before = reader.acknowledged
        try reader.acknowledge(token)
        acknowledgedCount.increment(by: Int64(reader.acknowledged - before))
    }

    /// Sees to it that what Kafka does not acknowledge reaches the disk, and tells how much waits.
    func settle(at now: ContinuousClock.Instant) {
        guard now - lastSync >= Self.syncInterval else { return }
        lastSync = now
        waitingCount.set(Int64(reader.waiting))
        if reader.acknowledged < writtenAtSync { firstUnsynced = spool.synchronize(from: firstUnsynced) }
        writtenAtSync = spool.written
    }
}
