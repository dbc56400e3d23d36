import Kafka
import ServiceKit
import Synchronization

/// The topic of alerts. Used by one thread.
final class AlertTopic: AlertChannel {
    private let name: String
    private let settings: KafkaSettings
    private let makeEvents: (@escaping @Sendable (Int, KafkaError?) -> Void) -> KafkaEvents
    private let patience: Duration
    private var client: Client?

    private struct Client {
        let producer: KafkaProducer
        let topic: KafkaProducerTopic
        let acknowledged: Acknowledged
    }

    /// The tokens of what was acknowledged.
    private final class Acknowledged: Sendable {
        private let tokens = Mutex<Set<Int>>([])

        @Sendable func add(_ token: Int, _ error: KafkaError?) {
            if error == nil { tokens.withLock { _ = $0.insert(token) } }
        }

        /// How many there are from 0 on, without a gap; forgets all.
        func takePrefix() -> Int {
            tokens.withLock { tokens in
                defer { tokens = [] }
                return (0...).first { !tokens.contains($0) }!
            }
        }
    }

    /// - Parameters:
    ///   - makeEvents: makes a client's events from what is to hear of deliveries.
    ///   - patience: how long Kafka has to acknowledge.
    init(
        _ name: String, _ settings: KafkaSettings, patience: Duration = .seconds(5),
        _ makeEvents: @escaping (@escaping @Sendable (Int, KafkaError?) -> Void) -> KafkaEvents
    ) {
        self.name = name
        self.settings = settings
        self.patience = patience
        self.makeEvents = makeEvents
    }

    func prepare() throws {
        if client == nil {
            let acknowledged = Acknowledged()
            let producer = try KafkaProducer(settings: settings, events: makeEvents(acknowledged.add))
            client = Client(producer: producer, topic: try producer.topic(name), acknowledged: acknowledged)
        }
        _ = try client?.producer.partitionCount(of: name, timeout: .seconds(2))
    }

    func send(_ records: [AlertRecord], until shutdown: ShutdownSignal) throws -> Int {
        guard let client else { return 0 }
        for (token, record) in records.enumerated() {
            let outcome = Array(record.key.utf8).withUnsafeBytes { key in
                Array(record.value.utf8).withUnsafeBytes { value in
                    Result { () throws(KafkaError) in try client.topic.send(key: key, value: value, token: token) }
                }
            }
            // The queue holds far more than is sent at once: full, it is a client's that can send nothing.
            do {
                guard try outcome.get() == .enqueued else { break }
            } catch {
                giveUp(client)
                throw error
            }
        }
        let deadline = ContinuousClock.now + patience
        while client.producer.flush(timeout: .milliseconds(100)) > 0, !shutdown.isRequested,
            ContinuousClock.now < deadline
        {}
        let sent = client.acknowledged.takePrefix()
        if sent < records.count { giveUp(client) }
        return sent
    }

    /// A new client begins anew, in order; what this one has on its way may arrive before that, and twice.
    private func giveUp(_ client: Client) {
        _ = client.producer.purge(timeout: .seconds(1))
        self.client = nil
    }
}
