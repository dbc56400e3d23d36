internal import CLibrdkafka
internal import Synchronization

/// What became of a record handed to `produce`.
package enum ProduceOutcome: Sendable {
    /// It is in the producer's queue.
    case enqueued
    /// It is not: the queue is at its bound. Poll, then try again.
    case queueFull
}

/// A topic of a producer; thread-safe. Keeps its producer alive.
package final class KafkaProducerTopic: Sendable {
    package let name: String
    package let producer: KafkaProducer
    // Safe to share: librdkafka's topic is thread-safe, and it is destroyed in `deinit` only, before the client is.
    private nonisolated(unsafe) let topic: OpaquePointer
    private let counts = DeliveryCounts()

    init(_ name: String, of producer: KafkaProducer) throws(KafkaError) {
        guard let topic = rd_kafka_topic_new(producer.handle.pointer, name, nil) else {
            throw KafkaError(rd_kafka_last_error(), "cannot produce to topic \(name)")
        }
        self.name = name
        self.producer = producer
        self.topic = topic
        producer.handle.context.deliveries.withLock { $0.append(counts) }
    }

    deinit {
        rd_kafka_topic_destroy(topic)
    }

    /// Records taken into the queue by this topic.
    package var enqueuedCount: Int { counts.enqueued.load(ordering: .acquiring) }

    /// Of these, those that the broker has acknowledged.
    package var acknowledgedCount: Int { counts.acknowledged.load(ordering: .acquiring) }

    /// Of these, those that have been given up.
    package var failedCount: Int { counts.failed.load(ordering: .acquiring) }

    /// Copies a record into the producer's queue; never waits and allocates nothing in Swift.
    ///
    /// - Parameters:
    ///   - key: chooses the partition unless one is named; without a base address the record has no key.
    ///   - value: without a base address the record has no value, which is not the same as an empty one.
    ///   - partition: a partition by number.
    /// - Throws: a record that cannot be sent at all: too large, an unknown topic or partition, a fatal failure.
    package func produce(
        key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, partition: Int32? = nil
    ) throws(KafkaError) -> ProduceOutcome {
        let outcome = try enqueue(key, value, partition, Unmanaged.passUnretained(counts).toOpaque())
        if outcome == .enqueued { counts.enqueued.wrappingAdd(1, ordering: .releasing) }
        return outcome
    }

    /// The same of a record whose end `KafkaEvents.delivered` tells, under a token from 0 up to 2⁶²; not counted here.
    @inline(__always)
    package func send(
        key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, token: Int
    ) throws(KafkaError) -> ProduceOutcome {
        try enqueue(key, value, nil, DeliveryToken.pointer(token))
    }

    @inline(__always)
    private func enqueue(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ partition: Int32?,
        _ mark: UnsafeMutableRawPointer?
    ) throws(KafkaError) -> ProduceOutcome {
        let result = rd_kafka_produce(
            topic, partition ?? anyPartition, RD_KAFKA_MSG_F_COPY,
            UnsafeMutableRawPointer(mutating: value.baseAddress), value.count, key.baseAddress, key.count, mark)
        guard result == 0 else { return try refusal(rd_kafka_last_error()) }
        return .enqueued
    }

    @inline(never)
    private func refusal(_ code: rd_kafka_resp_err_t) throws(KafkaError) -> ProduceOutcome {
        if code == RD_KAFKA_RESP_ERR__QUEUE_FULL { return .queueFull }
        if code == RD_KAFKA_RESP_ERR__FATAL, let failure = producer.fatalFailure { throw failure }
        throw KafkaError(code, "topic \(name) takes no such record: \(String(cString: rd_kafka_err2str(code)))")
    }
}

/// `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
private let anyPartition: Int32 = -1
