internal import CLibrdkafka
internal import Glibc

/// What came of creating a topic.
package enum TopicCreation: Sendable {
    case created
    /// It was there before, perhaps with another number of partitions.
    case alreadyExists
}

/// Creates and deletes topics. Its calls ask the cluster's controller and block. Not on `EmbeddedKafka`, which knows
/// no such requests: create topics there by `EmbeddedKafka.createTopic`.
package struct KafkaAdmin: Sendable {
    private let cluster: any KafkaCluster

    package init(_ cluster: any KafkaCluster) {
        self.cluster = cluster
    }

    /// Creates a topic and waits until it can be found.
    ///
    /// - Parameters:
    ///   - replication: how many brokers keep each partition.
    ///   - config: properties of the topic, such as `retention.ms`.
    package func createTopic(
        _ name: String, partitions: Int, replication: Int, config: [String: String] = [:],
        timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> TopicCreation {
        let (topic, text) = withErrorText {
            rd_kafka_NewTopic_new(name, Int32(clamping: partitions), Int32(clamping: replication), $0, $1)
        }
        guard let topic else {
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, "cannot create topic \(name): \(text)")
        }
        defer { rd_kafka_NewTopic_destroy(topic) }
        for (key, value) in config { rd_kafka_NewTopic_set_config(topic, key, value) }

        var topics: [OpaquePointer?] = [topic]
        let failure = try request(RD_KAFKA_ADMIN_OP_CREATETOPICS, "cannot create topic \(name)", timeout) {
            rd_kafka_CreateTopics(cluster.handle.pointer, &topics, 1, $0, $1)
        } result: { event, count in
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), count)
        }
        if let failure, failure.code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS.rawValue { throw failure }
        try awaitTopic(name, timeout)
        return failure == nil ? .created : .alreadyExists
    }

    /// Deletes a topic with all its records.
    package func deleteTopic(_ name: String, timeout: Duration = .seconds(10)) throws(KafkaError) {
        let topic = rd_kafka_DeleteTopic_new(name)!
        defer { rd_kafka_DeleteTopic_destroy(topic) }
        var topics: [OpaquePointer?] = [topic]
        let failure = try request(RD_KAFKA_ADMIN_OP_DELETETOPICS, "cannot delete topic \(name)", timeout) {
            rd_kafka_DeleteTopics(cluster.handle.pointer, &topics, 1, $0, $1)
        } result: { event, count in
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), count)
        }
        if let failure { throw failure }
    }

    /// The controller answers before its brokers know of the topic.
    private func awaitTopic(_ name: String, _ timeout: Duration) throws(KafkaError) {
        let end = ContinuousClock.now + timeout
        while true {
            do {
                _ = try cluster.metadata(of: name, timeout: timeout)
                return
            } catch {
                guard error.code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue, ContinuousClock.now < end else {
                    throw error
                }
                usleep(10_000)
            }
        }
    }

    /// Sends a request about one topic and waits for the answer; returns the topic's own error.
    private func request(
        _ operation: rd_kafka_admin_op_t, _ context: String, _ timeout: Duration,
        send: (_ options: OpaquePointer, _ queue: OpaquePointer) -> Void,
        result: (OpaquePointer, UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?
    ) throws(KafkaError) -> KafkaError? {
        let client = cluster.handle.pointer
        let queue = rd_kafka_queue_new(client)!
        defer { rd_kafka_queue_destroy(queue) }
        let options = rd_kafka_AdminOptions_new(client, operation)!
        defer { rd_kafka_AdminOptions_destroy(options) }
        for set in [rd_kafka_AdminOptions_set_request_timeout, rd_kafka_AdminOptions_set_operation_timeout] {
            _ = set(options, timeout.milliseconds, nil, 0)
        }
        send(options, queue)

        // librdkafka answers by itself when its time is over; the second on top is for that answer.
        guard let event = rd_kafka_queue_poll(queue, (timeout + .seconds(1)).milliseconds) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, "\(context) at \(cluster.bootstrapServers): no answer")
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? ""
            throw KafkaError(code, "\(context) at \(cluster.bootstrapServers): \(reason)")
        }
        var count = 0
        guard let topics = result(event, &count), count == 1, let answer = topics[0] else { return nil }
        let topicCode = rd_kafka_topic_result_error(answer)
        guard topicCode != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        let reason = rd_kafka_topic_result_error_string(answer) ?? rd_kafka_err2str(topicCode)!
        return KafkaError(topicCode, "\(context): \(String(cString: reason))")
    }
}
