internal import CLibrdkafka

/// What any client can say about its cluster. These calls ask the brokers and block: keep them off the polling thread.
package protocol KafkaCluster: AnyObject, Sendable {
    var handle: KafkaHandle { get }
}

/// A topic as the cluster describes it.
package struct KafkaTopicMetadata: Sendable, Equatable {
    package let partitionCount: Int
    /// Partitions that nobody leads at the moment: they can be neither read nor written.
    package let leaderless: [Int32]
    /// The cluster's brokers, as `host:port`.
    package let brokers: [String]
}

extension KafkaCluster {
    /// The servers that the client was told to begin with.
    package var bootstrapServers: String { handle.bootstrapServers }

    /// The cluster's own id, which stays the same as long as the cluster is the same.
    package func clusterID(timeout: Duration) throws(KafkaError) -> String {
        guard let id = rd_kafka_clusterid(handle.pointer, timeout.milliseconds) else {
            throw KafkaError(
                RD_KAFKA_RESP_ERR__TIMED_OUT, "no cluster id from \(bootstrapServers) within \(timeout)")
        }
        defer { rd_kafka_mem_free(handle.pointer, id) }
        return String(cString: id)
    }

    /// How many partitions a topic has.
    package func partitionCount(of topic: String, timeout: Duration) throws(KafkaError) -> Int {
        try metadata(of: topic, timeout: timeout).partitionCount
    }

    /// A topic's partitions and the cluster's brokers.
    ///
    /// - Throws: `UNKNOWN_TOPIC_OR_PART` if there is no such topic; it is not created.
    package func metadata(of topic: String, timeout: Duration) throws(KafkaError) -> KafkaTopicMetadata {
        guard let handleOfTopic = rd_kafka_topic_new(handle.pointer, topic, nil) else {
            throw KafkaError(rd_kafka_last_error(), "cannot ask for topic \(topic)")
        }
        defer { rd_kafka_topic_destroy(handleOfTopic) }
        var answer: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.pointer, 0, handleOfTopic, &answer, timeout.milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let answer else {
            let reason = String(cString: rd_kafka_err2str(code))
            throw KafkaError(
                code, "no answer about topic \(topic) from \(bootstrapServers) within \(timeout): \(reason)")
        }
        defer { rd_kafka_metadata_destroy(answer) }
        return try KafkaTopicMetadata(answer.pointee, topic, bootstrapServers)
    }

    /// The first offset of a partition and the one after its last record.
    ///
    /// librdkafka 2.0 can overrun the time-out.
    package func watermarks(
        _ place: TopicPartition, timeout: Duration
    ) throws(KafkaError) -> (low: Int64, high: Int64) {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = rd_kafka_query_watermark_offsets(
            handle.pointer, place.topic, place.partition, &low, &high, timeout.milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = String(cString: rd_kafka_err2str(code))
            throw KafkaError(code, "no watermarks of \(place) from \(bootstrapServers): \(reason)")
        }
        return (low, high)
    }
}

extension KafkaTopicMetadata {
    fileprivate init(_ answer: rd_kafka_metadata, _ topic: String, _ servers: String) throws(KafkaError) {
        let code = answer.topic_cnt > 0 ? answer.topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, answer.topics[0].partition_cnt > 0 else {
            let isUnknown = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR_NO_ERROR
            let reason =
                isUnknown ? "does not exist: create it or check its name" : String(cString: rd_kafka_err2str(code))
            throw KafkaError(
                isUnknown ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : code, "topic \(topic) at \(servers): \(reason)")
        }
        let partitions = UnsafeBufferPointer(
            start: answer.topics[0].partitions, count: Int(answer.topics[0].partition_cnt))
        partitionCount = partitions.count
        leaderless = partitions.filter { $0.leader < 0 }.map(\.id)
        brokers = UnsafeBufferPointer(start: answer.brokers, count: Int(answer.broker_cnt))
            .map { "\(String(cString: $0.host)):\($0.port)" }
    }
}
