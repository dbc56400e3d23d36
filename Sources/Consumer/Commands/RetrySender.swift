import Kafka
import KafkaService
import ServiceKit
import Synchronization
import TradeModel

/// Sends rejected trades to their topic as records of the source `retry`: by key, form and partitioner as a producer does.
final class RetrySender {
    let topic: String
    private let producer: KafkaProducer
    private let target: KafkaProducerTopic
    private let delivered = Deliveries()
    private var value = ByteWriter(capacity: 1024)

    /// How long Kafka has to acknowledge what was sent.
    private static let patience = Duration.seconds(30)

    /// - Throws: `KafkaError` when Kafka cannot be reached, or has no such topic.
    init(_ settings: KafkaSettings, topic: String, logger: Logger) throws(KafkaError) {
        self.topic = topic
        producer = try KafkaProducer(settings: settings, events: KafkaEvents(logger: logger, delivered: delivered.add))
        _ = try producer.partitionCount(of: topic, timeout: .seconds(10))
        target = try producer.topic(topic)
    }

    /// Sends a record, which is known to be a trade, under another number.
    /// - Parameter token: what `finish` calls it.
    func send(_ payload: [UInt8], sequence: Int64, token: Int) throws {
        var record = try TradeRecord(json: payload.span)
        record.source = TradeRecord.retrySource
        record.sequence = sequence
        value.clear()
        payload.withUnsafeBytes { value.write(record, conditionsFrom: $0) }
        let outcome = record.key.withBytes { key in
            value.withBytes { value in
                Result { () throws(KafkaError) in try target.send(key: key, value: value, token: token) }
            }
        }
        // The queue holds far more than is sent at once.
        guard try outcome.get() == .enqueued else { throw RetryError.notAcknowledged }
    }

    /// Waits until Kafka has acknowledged what was sent, though not for ever.
    /// - Returns: the tokens of what it has.
    func finish() -> [Int] {
        _ = producer.flush(timeout: Self.patience)
        _ = producer.purge(timeout: .seconds(2))
        return delivered.take()
    }

    private final class Deliveries: Sendable {
        private let tokens = Mutex<[Int]>([])

        @Sendable func add(_ token: Int, _ error: KafkaError?) {
            if error == nil { tokens.withLock { $0.append(token) } }
        }

        func take() -> [Int] {
            tokens.withLock { tokens in
                defer { tokens = [] }
                return tokens
            }
        }
    }
}
