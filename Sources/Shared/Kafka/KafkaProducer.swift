internal import CLibrdkafka
internal import Synchronization

/// Sends records; thread-safe. Someone has to call `poll` regularly: it brings the acknowledgements.
///
/// A record counts as delivered only when `acknowledgedCount` says so. At the end: `flush`, then `purge` what is left,
/// then let go of it and of its topics.
package final class KafkaProducer: KafkaCluster {
    package let handle: KafkaHandle
    // Safe to share: librdkafka's queues are thread-safe. Let go of in `deinit`, before the client is.
    private nonisolated(unsafe) let queue: OpaquePointer

    package init(settings: KafkaSettings, events: KafkaEvents = KafkaEvents()) throws(KafkaError) {
        handle = try KafkaHandle(RD_KAFKA_PRODUCER, settings, events, isPolled: true) { conf in
            rd_kafka_conf_set_dr_msg_cb(conf, onDelivery)
        }
        // Every client has one.
        queue = rd_kafka_queue_get_main(handle.pointer)!
    }

    deinit {
        rd_kafka_queue_destroy(queue)
    }

    /// A topic to produce to; it keeps the producer alive.
    package func topic(_ name: String) throws(KafkaError) -> KafkaProducerTopic {
        try KafkaProducerTopic(name, of: self)
    }

    /// Serves acknowledgements and errors; waits for the first one up to `milliseconds` (plain milliseconds, since
    /// taking a `Duration` apart costs more than a poll that finds nothing).
    package func poll(milliseconds: Int32) {
        rd_kafka_poll(handle.pointer, milliseconds)
    }

    /// Ends a `poll` that waits, or the next one. Any thread.
    package func wake() {
        rd_kafka_queue_yield(queue)
    }

    /// Waits until everything is acknowledged or failed, serving acknowledgements meanwhile; blocks its thread.
    ///
    /// - Returns: how many records are still neither when the time is over.
    package func flush(timeout: Duration) -> Int {
        rd_kafka_flush(handle.pointer, timeout.milliseconds)
        return outstanding
    }

    /// Gives up every record that is not acknowledged and hands each to `KafkaEvents.deliveryFailure`, with
    /// `_PURGE_QUEUE` if it was never sent and `_PURGE_INFLIGHT` if the broker may hold it.
    ///
    /// - Returns: how many records are not handed back yet when the time is over.
    package func purge(timeout: Duration) -> Int {
        rd_kafka_purge(handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        return flush(timeout: timeout)
    }

    /// The error after which this producer takes no more records and has to be replaced.
    package var fatalFailure: KafkaError? { Kafka.fatalFailure(of: handle.pointer) }

    /// Records taken into the queue since the start.
    package var enqueuedCount: Int { sum { $0.enqueued.load(ordering: .acquiring) } }

    /// Records that the broker has acknowledged since the start.
    package var acknowledgedCount: Int { sum { $0.acknowledged.load(ordering: .acquiring) } }

    /// Records that have been given up since the start; each was handed to `KafkaEvents.deliveryFailure`.
    package var failedCount: Int { sum { $0.failed.load(ordering: .acquiring) } }

    /// Records that are neither acknowledged nor failed.
    package var outstanding: Int {
        // Read in this order, a record that moves on meanwhile counts as outstanding rather than not at all.
        let done = acknowledgedCount + failedCount
        return max(0, enqueuedCount - done)
    }

    private func sum(_ count: (DeliveryCounts) -> Int) -> Int {
        handle.context.deliveries.withLock { $0.reduce(0) { $0 + count($1) } }
    }
}

private func onDelivery(
    _ client: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let message, let opaque, let ofTopic = message.pointee._private else { return }
    if let token = DeliveryToken.token(ofTopic) {
        let code = message.pointee.err
        let error = code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code)
        Unmanaged<CallbackContext>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.events.delivered(token, error) }
        return
    }
    let hasFailed = message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR
    Unmanaged<DeliveryCounts>.fromOpaque(ofTopic)._withUnsafeGuaranteedRef { counts -> Void in
        if hasFailed {
            counts.failed.wrappingAdd(1, ordering: .releasing)
        } else {
            counts.acknowledged.wrappingAdd(1, ordering: .releasing)
        }
    }
    guard hasFailed else { return }
    Unmanaged<CallbackContext>.fromOpaque(opaque)._withUnsafeGuaranteedRef { context in
        let topic = String(cString: rd_kafka_topic_name(message.pointee.rkt))
        // Not rd_kafka_message_errstr: of a produced record it returns the payload, which need not end with a NUL.
        let reason = String(cString: rd_kafka_err2str(message.pointee.err))
        context.events.deliveryFailure(
            KafkaError(message.pointee.err, "a record for topic \(topic) was not delivered: \(reason)"),
            UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len),
            UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len))
    }
}
