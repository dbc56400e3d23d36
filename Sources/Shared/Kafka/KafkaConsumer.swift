internal import CLibrdkafka
internal import Synchronization

/// A change of the partitions that the group gives to this member. Answer it before the next poll:
/// `assign` after `assigned`, `unassign` after `revoked`.
package enum KafkaRebalance: Sendable, Equatable {
    /// These partitions are now this member's, instead of any it had.
    case assigned([TopicPartition])
    /// These partitions are to be given up; if `lost`, others may work on them already.
    case revoked([TopicPartition], lost: Bool)
}

/// What one poll of a consumer has brought.
package enum KafkaPollOutcome: ~Copyable {
    case record(KafkaRecord)
    /// The time is over, or `wake` was called, or only callbacks were served.
    case nothing
    case rebalance(KafkaRebalance)
    /// An error, with its partition if it has one. `_AUTO_OFFSET_RESET` comes once a partition, then silence: the
    /// wanted offset is gone, and only a new assignment reads on.
    case failure(KafkaError, at: TopicPartition?)
}

/// A member of a consumer group that is told where to begin by `assign`.
///
/// `subscribe`, `poll`, `assign` and `unassign` belong to one thread, the polling thread; everything else may be called
/// from any. Between two polls nothing moves: no partition comes or goes. Let go of without `close`, the member stays in
/// the group until its session lapses.
package final class KafkaConsumer: KafkaCluster {
    package let handle: KafkaHandle
    // The queue that `wake` rouses; gone once closed, as librdkafka demands before its own close.
    private let queue: Mutex<ConsumerQueue?>
    // The polling thread's alone. Empty whenever partitions come or go, so no record of a former assignment is handed out:
    // the queue's own bookkeeping of that ends where records leave it.
    nonisolated(unsafe) private var fetched = FetchedMessages()
    // Whether to wait no more: taking records out of the queue without waiting eats its own sign.
    private let isWoken = Atomic(false)

    package init(settings: KafkaSettings, events: KafkaEvents = KafkaEvents()) throws(KafkaError) {
        let handle = try KafkaHandle(RD_KAFKA_CONSUMER, settings, events, isPolled: true) { conf in
            rd_kafka_conf_set_rebalance_cb(conf, onRebalance)
        }
        rd_kafka_poll_set_consumer(handle.pointer)
        guard let queue = rd_kafka_queue_get_consumer(handle.pointer) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_GROUP, "a Kafka consumer needs the property group.id")
        }
        self.handle = handle
        self.queue = Mutex(ConsumerQueue(pointer: queue))
    }

    deinit {
        fetched.discard()
        releaseQueue()
    }

    /// Joins the group for these topics. A topic that does not exist comes as a failure out of `poll`.
    package func subscribe(topics: [String]) throws(KafkaError) {
        let anyPartition = Dictionary(
            uniqueKeysWithValues: topics.map { (TopicPartition(topic: $0, partition: -1), Int64(0)) })
        try check("cannot subscribe to \(topics.joined(separator: ", "))") {
            TopicPartition.withList(of: anyPartition) { rd_kafka_subscribe(handle.pointer, $0) }
        }
    }

    /// One record or one event, waited for up to `milliseconds` (plain milliseconds, since taking a `Duration` apart
    /// for each record costs). Polling thread only. Allocates nothing for a record.
    package func poll(milliseconds: Int32) -> KafkaPollOutcome {
        if let message = fetched.take() { return outcome(of: message) }
        return pollQueue(milliseconds)
    }

    @inline(never)
    private func pollQueue(_ milliseconds: Int32) -> KafkaPollOutcome {
        // A rebalance that was met on the way comes behind all that was taken out with it.
        if let rebalance = takeRebalance() { return rebalance }
        if let queue = queue.withLock({ $0 }) { fetched.fill(from: queue.pointer) }
        if let message = fetched.take() { return outcome(of: message) }
        if let rebalance = takeRebalance() { return rebalance }
        guard !isWoken.exchange(false, ordering: .acquiringAndReleasing) else { return .nothing }
        // Only this way of reading gives the first record at once when there is to be waited.
        guard let message = rd_kafka_consumer_poll(handle.pointer, milliseconds) else {
            return takeRebalance() ?? .nothing
        }
        return outcome(of: message)
    }

    @inline(__always)
    private func outcome(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaPollOutcome {
        guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return failure(consuming: message) }
        return .record(KafkaRecord(owning: message))
    }

    /// Ends a poll that another thread waits in, or the next one.
    package func wake() {
        isWoken.store(true, ordering: .releasing)
        queue.withLock { if let queue = $0 { rd_kafka_queue_yield(queue.pointer) } }
    }

    /// How many records have been fetched and not polled, over all partitions; and a few events among them. Polling thread
    /// only.
    package var fetchedCount: Int {
        fetched.count + queue.withLock { $0.map { rd_kafka_queue_length($0.pointer) } ?? 0 }
    }

    /// Reads these partitions and no others, each from its offset on. Polling thread only.
    package func assign(_ offsets: [TopicPartition: Int64]) throws(KafkaError) {
        fetched.discard()
        try check("cannot assign \(offsets.count) partitions") {
            TopicPartition.withList(of: offsets) { rd_kafka_assign(handle.pointer, $0) }
        }
    }

    /// Reads nothing any more until the next `assign`. Polling thread only.
    package func unassign() throws(KafkaError) {
        fetched.discard()
        try check("cannot give the partitions up") { rd_kafka_assign(handle.pointer, nil) }
    }

    /// The partitions that are read now: those of the last `assign`.
    package var assignment: [TopicPartition] {
        var list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
        guard rd_kafka_assignment(handle.pointer, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        return TopicPartition.all(in: list)
    }

    /// Whether the assignment went away without being asked for; true from the loss until the next `assign`
    /// or `unassign`.
    package var isAssignmentLost: Bool { rd_kafka_assignment_lost(handle.pointer) != 0 }

    /// Tells Kafka the next offset of each partition, for displays of the lag; nothing depends on it, and nobody waits.
    package func commitAsync(_ offsets: [TopicPartition: Int64]) throws(KafkaError) {
        try check("cannot commit offsets") {
            TopicPartition.withList(of: offsets) { rd_kafka_commit(handle.pointer, $0, 1) }
        }
    }

    /// The error after which this consumer reads no more and has to be replaced.
    package var fatalFailure: KafkaError? { Kafka.fatalFailure(of: handle.pointer) }

    /// Leaves the group, so that others take over at once. Call it when polling has ended; revocations are answered here.
    ///
    /// librdkafka 2.0 can hang here: it runs on a thread of its own, and after `deadline` that thread and the client
    /// are left behind until the process ends, which is the next thing it should do.
    ///
    /// - Returns: whether it left in time; if not, the broker finds out when the session lapses.
    @discardableResult
    package func close(deadline: Duration) -> Bool {
        fetched.discard()
        releaseQueue()
        handle.context.isClosing.store(true, ordering: .releasing)
        let handle = handle
        return BoundedCall.run(within: deadline) { rd_kafka_consumer_close(handle.pointer) }
    }

    private static let topicErrors = [
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ]

    private func releaseQueue() {
        queue.withLock {
            if let queue = $0 { rd_kafka_queue_destroy(queue.pointer) }
            $0 = nil
        }
    }

    private func check(_ context: @autoclosure () -> String, _ call: () -> rd_kafka_resp_err_t) throws(KafkaError) {
        let code = call()
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        if code == RD_KAFKA_RESP_ERR__FATAL, let failure = fatalFailure { throw failure }
        throw KafkaError(code, "\(context()): \(String(cString: rd_kafka_err2str(code)))")
    }

    private func takeRebalance() -> KafkaPollOutcome? {
        switch handle.context.rebalance.withLock({ $0.take() }) {
        case nil: nil
        case .success(let rebalance): .rebalance(rebalance)
        case .failure(let error): .failure(error, at: nil)
        }
    }

    @inline(never)
    private func failure(consuming message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaPollOutcome {
        defer { rd_kafka_message_destroy(message) }
        let code = message.pointee.err
        let reason = String(cString: rd_kafka_message_errstr(message))
        if code == RD_KAFKA_RESP_ERR__FATAL, let failure = fatalFailure { return .failure(failure, at: nil) }
        guard let topic = message.pointee.rkt else { return .failure(KafkaError(code, reason), at: nil) }
        let place = TopicPartition(
            topic: String(cString: rd_kafka_topic_name(topic)), partition: message.pointee.partition)
        // An error about a whole topic says partition 0, and no offset.
        let isAboutTopic = Self.topicErrors.contains(code) && message.pointee.offset == Int64(RD_KAFKA_OFFSET_INVALID)
        guard !isAboutTopic else { return .failure(KafkaError(code, reason), at: nil) }
        return .failure(KafkaError(code, "\(place) at offset \(message.pointee.offset): \(reason)"), at: place)
    }
}

/// A reference to a queue of librdkafka's, released by hand.
private struct ConsumerQueue: @unchecked Sendable {
    // Safe to share: librdkafka's queues are thread-safe.
    let pointer: OpaquePointer
}

/// Runs inside `poll`: puts the rebalance down and ends the poll, so that the caller meets it outside of any callback.
private func onRebalance(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t,
    _ partitions: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let client, let opaque else { return }
    let context = Unmanaged<CallbackContext>.fromOpaque(opaque).takeUnretainedValue()
    guard !context.isClosing.load(ordering: .acquiring) else {
        rd_kafka_assign(client, nil)
        return
    }
    let places = partitions.map { TopicPartition.all(in: $0) } ?? []
    let rebalance: Result<KafkaRebalance, KafkaError>
    switch code {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        rebalance = .success(.assigned(places))
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
        rebalance = .success(.revoked(places, lost: rd_kafka_assignment_lost(client) != 0))
    default:
        rd_kafka_assign(client, nil)
        rebalance = .failure(KafkaError(code, "rebalance failed: \(String(cString: rd_kafka_err2str(code)))"))
    }
    context.rebalance.withLock { $0 = rebalance }
    rd_kafka_yield(client)
}
