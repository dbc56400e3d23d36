internal import CLibrdkafka

/// Messages that have been taken out of a consumer's queue together and are handed out one by one.
///
/// Taken one by one, each costs librdkafka a lock, a wait that is none, and two readings of the clock: a third of all
/// that reading a record costs.
struct FetchedMessages: ~Copyable {
    private static let capacity = 1024

    private let messages = UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>.allocate(
        capacity: Self.capacity)
    private var next = 0
    private var end = 0

    deinit {
        for index in next..<end { rd_kafka_message_destroy(messages[index]) }
        messages.deallocate()
    }

    /// How many have not been handed out.
    var count: Int { end - next }

    /// Takes what is in the queue, up to a bound, without waiting. To be called when all have been handed out.
    mutating func fill(from queue: OpaquePointer) {
        end = max(rd_kafka_consume_batch_queue(queue, 0, messages, Self.capacity), 0)
        next = 0
    }

    /// Hands out the next one; the caller destroys it.
    @inline(__always)
    mutating func take() -> UnsafeMutablePointer<rd_kafka_message_t>? {
        guard next < end else { return nil }
        defer { next += 1 }
        return messages[next]
    }

    /// Destroys those that have not been handed out.
    mutating func discard() {
        while let message = take() { rd_kafka_message_destroy(message) }
    }
}
