internal import CLibrdkafka
internal import Glibc

/// A consumed record, in librdkafka's memory: owned here and freed at the end of its life.
///
/// Its bytes are valid as long as the record lives, which must be shorter than its consumer's life. Keeping many
/// records keeps the fetched buffers that they lie in.
package struct KafkaRecord: ~Copyable {
    private let message: UnsafeMutableRawPointer
    /// The partition's number within the topic.
    package let partition: Int32
    /// The record's place in its partition.
    package let offset: Int64
    /// The key's bytes; the base address is nil if the record has none.
    package let key: UnsafeRawBufferPointer
    /// The value's bytes; the base address is nil if the record has none.
    package let value: UnsafeRawBufferPointer

    /// Takes over a message without an error.
    @inline(__always)
    init(owning message: UnsafeMutablePointer<rd_kafka_message_t>) {
        self.message = UnsafeMutableRawPointer(message)
        self.partition = message.pointee.partition
        self.offset = message.pointee.offset
        self.key = UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len)
        self.value = UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len)
    }

    deinit {
        rd_kafka_message_destroy(native)
    }

    /// Milliseconds since 1970, as set by the producer or the broker; -1 if the record has none.
    package var timestamp: Int64 { rd_kafka_message_timestamp(native, nil) }

    /// The topic's name, as a new string.
    package var topic: String { String(cString: rd_kafka_topic_name(native.pointee.rkt)) }

    /// Whether the record comes from a topic, without making a string.
    package func isFrom(topic name: String) -> Bool {
        name.withCString { strcmp(rd_kafka_topic_name(native.pointee.rkt), $0) == 0 }
    }

    private var native: UnsafeMutablePointer<rd_kafka_message_t> {
        message.assumingMemoryBound(to: rd_kafka_message_t.self)
    }
}
