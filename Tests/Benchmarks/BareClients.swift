import Kafka

/// librdkafka with nothing around it: the limits of what goes in and out of the broker.
enum BareClients {
    /// Writes the records with the producer's own settings.
    /// - Parameter evenly: over all partitions in turn, instead of by key.
    /// - Returns: the time from the first record to the last acknowledgement.
    static func produce(_ workload: Workload, to topic: Topic, evenly: Bool = false) throws -> Duration {
        let producer = try KafkaProducer(settings: .producer(bootstrapServers: topic.bootstrapServers))
        let target = try producer.topic(topic.name)
        _ = try producer.partitionCount(of: topic.name, timeout: .seconds(10))
        let started = ContinuousClock.now
        try workload.forEachRecord { index, key, value in
            let partition = evenly ? Int32(index % topic.partitions) : nil
            while try target.produce(key: key, value: value, partition: partition) == .queueFull {
                producer.poll(milliseconds: 10)
            }
            if index.isMultiple(of: 1000) { producer.poll(milliseconds: 0) }
        }
        let outstanding = producer.flush(timeout: .seconds(60))
        let time = ContinuousClock.now - started
        guard outstanding == 0, producer.acknowledgedCount == workload.trades else {
            throw BenchError("only \(producer.acknowledgedCount) of \(workload.trades) records were acknowledged")
        }
        return time
    }

    /// Reads a whole topic with the readers' own settings, and only counts.
    /// - Returns: the time from the assignment to the last record.
    static func consume(_ topic: Topic, records: Int, group: String) throws -> Duration {
        let consumer = try KafkaConsumer(
            settings: .consumer(bootstrapServers: topic.bootstrapServers, group: group))
        try consumer.subscribe(topics: [topic.name])
        defer { consumer.close(deadline: .seconds(5)) }
        var started = ContinuousClock.now
        var count = 0
        while count < records {
            switch consumer.poll(milliseconds: 100) {
            case .record: count += 1
            case .nothing:
                guard ContinuousClock.now - started < .seconds(60) else {
                    throw BenchError("only \(count) of \(records) records came out of the topic")
                }
            case .rebalance(.assigned(let places)):
                guard places.count == topic.partitions else { throw BenchError("not all partitions were assigned") }
                started = .now
                try consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, 0) }))
            case .rebalance(.revoked): throw BenchError("the partitions were revoked")
            case .failure(let error, _): throw error
            }
        }
        return ContinuousClock.now - started
    }
}
