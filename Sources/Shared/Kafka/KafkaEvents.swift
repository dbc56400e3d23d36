/// How grave a log line of librdkafka is: syslog's levels under swift-log's names.
package enum KafkaLogLevel: String, Sendable, CaseIterable {
    case debug, info, notice, warning, error, critical

    init(syslog level: Int32) {
        switch level {
        case ...2: self = .critical
        case 3: self = .error
        case 4: self = .warning
        case 5: self = .notice
        case 6: self = .info
        default: self = .debug
        }
    }
}

/// What a client reports besides its results. This module writes no log of its own: everything ends here.
package struct KafkaEvents: Sendable {
    /// A log line. Called on librdkafka's own threads, and on the caller's during `init`: return at once, and
    /// call nothing of this module.
    package let log: @Sendable (KafkaLogLevel, _ facility: String, _ message: String) -> Void

    /// An error of the client as a whole, which it goes on from by itself unless `isFatal`: brokers that are away,
    /// refused credentials. Called inside `poll` and `flush`, on their thread. A plain `KafkaClient` is never polled:
    /// its errors come as log lines.
    package let error: @Sendable (KafkaError) -> Void

    /// A record that was not delivered, with its bytes, valid during the call only. Called inside `poll` and `flush`,
    /// on their thread. After `_PURGE_INFLIGHT` and `_MSG_TIMED_OUT` the broker may hold the record nevertheless.
    package let deliveryFailure:
        @Sendable (KafkaError, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void

    /// What became of a record that was sent with a token: nil when Kafka has acknowledged it. Called inside `poll` and
    /// `flush`, on their thread. A record that was sent without a token is only counted.
    package let delivered: @Sendable (_ token: Int, KafkaError?) -> Void

    package init(
        log: @escaping @Sendable (KafkaLogLevel, _ facility: String, _ message: String) -> Void = { _, _, _ in },
        error: @escaping @Sendable (KafkaError) -> Void = { _ in },
        deliveryFailure:
            @escaping @Sendable (KafkaError, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void =
            { _, _, _ in },
        delivered: @escaping @Sendable (_ token: Int, KafkaError?) -> Void = { _, _ in }
    ) {
        self.log = log
        self.error = error
        self.deliveryFailure = deliveryFailure
        self.delivered = delivered
    }
}
