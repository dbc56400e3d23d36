internal import CLibrdkafka
import Kafka

/// librdkafka with nothing around it, as a program in C uses it: the limit of what comes out of the broker.
enum BareConsumer {
    /// Reads a whole topic by `rd_kafka_consumer_poll`, with the readers' own settings, and only counts.
    /// - Returns: the time from the assignment to the last record, and this process' CPU seconds with the client's start.
    static func consume(_ topic: Topic, records: Int, group: String) throws -> (Duration, Double) {
        let cpuBefore = MeasuredProgram.Usage.ofThisProcess.cpuSeconds
        let client = try makeClient(.consumer(bootstrapServers: topic.bootstrapServers, group: group))
        defer { rd_kafka_destroy(client) }
        let places = rd_kafka_topic_partition_list_new(Int32(topic.partitions))
        defer { rd_kafka_topic_partition_list_destroy(places) }
        for partition in 0..<Int32(topic.partitions) {
            rd_kafka_topic_partition_list_add(places, topic.name, partition).pointee.offset = 0
        }
        let started = ContinuousClock.now
        guard rd_kafka_assign(client, places) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw BenchError("librdkafka does not take the partitions of \(topic.name)")
        }
        var count = 0
        while count < records {
            guard let message = rd_kafka_consumer_poll(client, 100) else {
                guard ContinuousClock.now - started < .seconds(60) else {
                    throw BenchError("only \(count) of \(records) records came out of the topic")
                }
                continue
            }
            defer { rd_kafka_message_destroy(message) }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw BenchError("librdkafka: \(String(cString: rd_kafka_message_errstr(message)))")
            }
            count += 1
        }
        return (ContinuousClock.now - started, MeasuredProgram.Usage.ofThisProcess.cpuSeconds - cpuBefore)
    }

    private static func makeClient(_ settings: KafkaSettings) throws -> OpaquePointer {
        let conf = rd_kafka_conf_new()
        for (key, value) in settings.all {
            guard rd_kafka_conf_set(conf, key, value, nil, 0) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(conf)
                throw BenchError("librdkafka does not take \(key)=\(value)")
            }
        }
        guard let client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nil, 0) else {
            rd_kafka_conf_destroy(conf)
            throw BenchError("librdkafka makes no consumer")
        }
        rd_kafka_poll_set_consumer(client)
        return client
    }
}
