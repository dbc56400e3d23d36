internal import CLibrdkafka
internal import Glibc
internal import Synchronization

/// What librdkafka's callbacks work on: retained until the client is destroyed.
final class CallbackContext: Sendable {
    let events: KafkaEvents
    /// What became of the records of each topic that was ever produced to.
    let deliveries = Mutex<[DeliveryCounts]>([])
    /// The rebalance that a poll has met and hands to its caller.
    let rebalance = Mutex<Result<KafkaRebalance, KafkaError>?>(nil)
    /// From here on nobody polls: rebalances are answered on the spot.
    let isClosing = Atomic(false)
    private let usesSCRAM: Bool

    init(_ settings: KafkaSettings, _ events: KafkaEvents) {
        self.events = events
        usesSCRAM = settings.all.contains { $0.key.hasPrefix("sasl.mechanism") && $0.value.hasPrefix("SCRAM") }
    }

    /// Sets the callbacks of every client. Errors need a poller: without one they are left to the log.
    func install(in conf: OpaquePointer, isPolled: Bool) {
        rd_kafka_conf_set_log_cb(conf, onLog)
        if isPolled { rd_kafka_conf_set_error_cb(conf, onError) }
    }

    fileprivate func report(_ code: rd_kafka_resp_err_t, _ reason: String) {
        let isKnownSCRAMFault =
            code == RD_KAFKA_RESP_ERR__AUTHENTICATION && usesSCRAM && rd_kafka_version() < 0x0206_0100
        let hint =
            " (librdkafka \(kafkaLibraryVersion) cannot log in with SCRAM at Kafka 4; 2.6.1 or PLAIN over TLS can)"
        events.error(KafkaError(code, isKnownSCRAMFault ? reason + hint : reason))
    }
}

/// What became of the records that were produced to one topic. Lives as long as its client: librdkafka hands the pointer
/// to it back with each acknowledgement.
final class DeliveryCounts: Sendable {
    let enqueued = Atomic(0)
    let acknowledged = Atomic(0)
    let failed = Atomic(0)
}

/// The first fatal error of a client.
func fatalFailure(of client: OpaquePointer) -> KafkaError? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
        let code = rd_kafka_fatal_error(client, text.baseAddress, text.count)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return KafkaError(code, String(cString: text.baseAddress!), isFatal: true)
    }
}

// Named functions: a closure literal would inherit the isolation of the place that hands it over, and trap elsewhere.

private func onLog(
    _ client: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?
) {
    guard let client, let facility, let text, let opaque = rd_kafka_opaque(client) else { return }
    // Chosen knowingly: librdkafka still calls the guarantee an experiment, years after it came.
    guard strstr(text, "enable.gapless.guarantee is experimental") == nil else { return }
    Unmanaged<CallbackContext>.fromOpaque(opaque).takeUnretainedValue()
        .events.log(KafkaLogLevel(syslog: level), String(cString: facility), String(cString: text))
}

private func onError(
    _ client: OpaquePointer?, _ code: Int32, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let client, let opaque else { return }
    let context = Unmanaged<CallbackContext>.fromOpaque(opaque).takeUnretainedValue()
    let code = rd_kafka_resp_err_t(code)
    if code == RD_KAFKA_RESP_ERR__FATAL, let failure = fatalFailure(of: client) {
        context.events.error(failure)
    } else {
        context.report(code, reason.map { String(cString: $0) } ?? String(cString: rd_kafka_err2str(code)))
    }
}
