internal import CLibrdkafka

/// An error of librdkafka or of the broker, with its native code.
package struct KafkaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The native code: negative ones are librdkafka's own, positive ones the broker's.
    package let code: Int32
    /// The code's name in Kafka's words, such as `_TRANSPORT` or `UNKNOWN_TOPIC_OR_PART`.
    package let name: String
    /// What failed, where, and what to do about it. Never holds a secret.
    package let reason: String
    /// Whether the same attempt may succeed later without anyone changing anything.
    package let isRetriable: Bool
    /// Whether this client is done for and has to be replaced by a new one.
    package let isFatal: Bool

    package var description: String { "\(reason) (\(name))" }
}

extension KafkaError {
    /// - Parameter reason: what happened; librdkafka's sentence for the code if absent.
    init(_ code: rd_kafka_resp_err_t, _ reason: String? = nil, isFatal: Bool = false) {
        self.code = code.rawValue
        self.name = String(cString: rd_kafka_err2name(code))
        self.reason = reason ?? String(cString: rd_kafka_err2str(code))
        self.isRetriable = !isFatal && Self.retriable.contains(code.rawValue)
        self.isFatal = isFatal || code == RD_KAFKA_RESP_ERR__FATAL
    }

    /// Takes over an error object: copies it, then destroys it.
    init(consuming error: OpaquePointer, _ context: String) {
        self.code = rd_kafka_error_code(error).rawValue
        self.name = String(cString: rd_kafka_error_name(error))
        self.reason = "\(context): \(String(cString: rd_kafka_error_string(error)))"
        self.isFatal = rd_kafka_error_is_fatal(error) != 0
        self.isRetriable = rd_kafka_error_is_retriable(error) != 0 || Self.retriable.contains(self.code)
        rd_kafka_error_destroy(error)
    }

    /// The codes that pass by themselves: an absent broker, an election, a coordinator that moves or loads.
    private static let retriable: Set<Int32> = Set(
        [
            RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
            RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__WAIT_CACHE,
            RD_KAFKA_RESP_ERR__IN_PROGRESS, RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, RD_KAFKA_RESP_ERR__RETRY,
            RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
        ].map(\.rawValue))
}
