internal import CLibrdkafka
internal import Synchronization

/// A cluster inside this process, for tests and for trying out: librdkafka's built-in mock.
///
/// Its limits, in librdkafka 2.0:
/// - a partition keeps at most 5 MiB, all in memory: a consumer that lags behind loses records;
/// - a producer's retries can store a record twice, although the producer is idempotent;
/// - a consumer that was stopped (SIGSTOP) past its session and goes on **ends this process**; killed ones do no harm;
/// - joining a group takes 3 s, each later rebalance the session's time-out less a second, and a member whose
///   `session.timeout.ms` is not above 3000 never gets in;
/// - asking for a topic that does not exist creates it, with four partitions;
/// - no topics by `KafkaAdmin`, no TLS, no SASL, no static membership, no transactions, no search by time.
///
/// It listens on ports of the system's choice on 127.0.0.1, open to every process of the machine. It ends with the last
/// reference; clients of it should end before. Thread-safe.
package final class EmbeddedKafka: Sendable {
    private let handle: KafkaHandle
    // Safe to share: the mock hands every call to its own thread; destroyed in `deinit` only, before its host.
    private nonisolated(unsafe) let cluster: OpaquePointer
    private let brokers: Int32
    /// The ports of brokers that are down.
    private let holds = Mutex<[PortHold]>([])

    package init(brokers: Int = 1) throws(KafkaError) {
        handle = try KafkaHandle(RD_KAFKA_PRODUCER, KafkaSettings(), KafkaEvents(), isPolled: false)
        self.brokers = Int32(clamping: brokers)
        guard let cluster = rd_kafka_mock_cluster_new(handle.pointer, self.brokers) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__FAIL, "cannot start an embedded Kafka with \(brokers) brokers")
        }
        self.cluster = cluster
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
    }

    /// The brokers' addresses, for `bootstrap.servers`.
    package var bootstrapServers: String { String(cString: rd_kafka_mock_cluster_bootstraps(cluster)) }

    /// Creates a topic.
    package func createTopic(_ name: String, partitions: Int) throws(KafkaError) {
        let code = rd_kafka_mock_topic_create(cluster, name, Int32(clamping: partitions), brokers)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, "cannot create topic \(name): \(String(cString: rd_kafka_err2str(code)))")
        }
    }

    /// Denies a topic from now on as if it did not exist.
    package func denyTopic(_ name: String) {
        rd_kafka_mock_topic_set_error(cluster, name, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
    }

    /// Refuses the next produce requests, each with one of these codes of Kafka's protocol.
    package func refuseProducing(with codes: [Int32]) {
        var codes = codes.map { rd_kafka_resp_err_t($0) }
        // 0 is a produce request's number in Kafka's protocol.
        rd_kafka_mock_push_request_errors_array(cluster, 0, codes.count, &codes)
    }

    /// Takes all brokers down, which cuts their connections, or up again on the same ports. Their records stay.
    package func setBrokers(up isUp: Bool) {
        if isUp {
            for id in 1...brokers { rd_kafka_mock_broker_set_up(cluster, id) }
            holds.withLock { $0 = [] }
        } else {
            let ports = bootstrapServers.split(separator: ",").compactMap { $0.split(separator: ":").last }
            for id in 1...brokers { rd_kafka_mock_broker_set_down(cluster, id) }
            // A broker that does not get its port back ends the process.
            holds.withLock { $0 = ports.compactMap { UInt16($0) }.compactMap(PortHold.init) }
        }
    }
}
