import Glibc
import Kafka
import KafkaService
import ServiceKit

/// The state of sending: the client, which is replaced when it is done for, and the topics that are sent to.
///
/// Used on one thread. Order is what it keeps: within a topic's partition a record is sent after all that were written before
/// it, and whatever has to be sent again is sent again from there on. Readers rely on it to know repeats by their number.
final class Delivery {
    private let senders: [TopicSender]
    private let makeClient: (KafkaEvents) throws -> KafkaProducer
    private let logger: Logger
    private let reports = DeliveryReports()
    private let replaced: Counter
    private var producer: KafkaProducer?
    /// Whether Kafka was ever reached.
    private(set) var wasConnected = false
    private var nextAttempt = ContinuousClock.now

    private static let retryPause = Duration.seconds(1)
    private static let answerTime = Duration.seconds(2)
    /// How long a client that is given up may take to hand back what it holds.
    private static let purgeTime = Duration.seconds(2)

    /// - Parameter senders: at most 2.
    init(
        _ senders: [TopicSender], logger: Logger, metrics: MetricsRegistry,
        makeClient: @escaping (KafkaEvents) throws -> KafkaProducer
    ) {
        precondition(senders.count <= 2)
        self.senders = senders
        self.makeClient = makeClient
        self.logger = logger
        replaced = metrics.counter(
            "kafka_clients_replaced_total", "Times that Kafka's client was replaced after an error")
    }

    /// Whether Kafka has been reached by the present client.
    var isConnected: Bool { producer != nil }
    /// Records that Kafka has not acknowledged.
    var waiting: Int { senders.reduce(0) { $0 + $1.waiting } }

    /// Sends what is there, takes in what is told, and waits for more of either.
    /// - Parameter milliseconds: how long to wait at most.
    /// - Throws: what waiting does not mend: a topic that is not there at the start, a spool that is broken.
    func step(milliseconds: Int32) throws {
        guard let producer = try producer ?? connect() else { return }
        do {
            let isBusy = try sendAll()
            producer.poll(milliseconds: isBusy ? 0 : milliseconds)
        } catch let error as KafkaError {
            return replace(after: error)
        }
        for token in reports.acknowledged { try senders[token & 1].acknowledge(token >> 1) }
        let failure = reports.failure ?? producer.fatalFailure
        reports.clear()
        if let failure { replace(after: failure) }
        let now = ContinuousClock.now
        for sender in senders { sender.settle(at: now) }
    }

    /// Asks whether Kafka answers, for when nothing is sent that would tell. Blocks for a moment when it does not.
    func answers() -> Bool {
        guard let producer, let sender = senders.first else { return false }
        return (try? producer.partitionCount(of: sender.name, timeout: Self.answerTime)) != nil
    }

    /// Whether there is no time to wait.
    private func sendAll() throws -> Bool {
        var isBusy = false
        for (index, sender) in senders.enumerated() {
            switch try sender.send(mark: { $0 << 1 | index }) {
            case .more: isBusy = true
            case .blocked: break
            case .caughtUp: if !sender.awaitMore() { isBusy = true }
            }
        }
        return isBusy
    }

    /// Connects to Kafka and looks for the topics; nil while it is away.
    private func connect() throws -> KafkaProducer? {
        guard ContinuousClock.now >= nextAttempt else {
            // Nobody polls meanwhile, so this waits instead.
            usleep(50_000)
            return nil
        }
        nextAttempt = .now + Self.retryPause
        do {
            let client = try makeClient(KafkaEvents(logger: logger, delivered: reports.add))
            let cluster = try client.clusterID(timeout: .seconds(2))
            if !wasConnected { warnOfEmbeddedBroker(cluster: cluster, logger: logger) }
            for sender in senders {
                let partitions = try client.partitionCount(of: sender.name, timeout: .seconds(5))
                try sender.connect(client)
                logger.info(
                    "publishing",
                    [
                        "kafka.topic": sender.name, "kafka.partitions": partitions,
                        "kafka.bootstrap": client.bootstrapServers, "spool.records": sender.waiting,
                    ])
            }
            (producer, wasConnected) = (client, true)
            return client
        } catch let error as KafkaError where error.isRetriable || wasConnected {
            logger.warning("waiting for Kafka; the spool keeps what comes", ["error": "\(error)"])
            return nil
        }
    }

    /// Gives the client up, and has all that it did not deliver sent again by the next one.
    private func replace(after error: KafkaError) {
        logger.error("Kafka's client is replaced; what it has not delivered is sent again", ["error": "\(error)"])
        replaced.increment()
        let left = producer?.purge(timeout: Self.purgeTime) ?? 0
        if left > 0 { logger.debug("Kafka's client has not handed back everything", ["kafka.records": left]) }
        // What was acknowledged meanwhile is sent again too: readers know it by its number.
        reports.clear()
        for sender in senders { sender.disconnect() }
        producer = nil
        nextAttempt = .now + Self.retryPause
    }
}
