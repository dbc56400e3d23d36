internal import CLibrdkafka

/// The version of the librdkafka that this process runs with.
package var kafkaLibraryVersion: String { String(cString: rd_kafka_version_str()) }

/// The one owner of a librdkafka client: destroyed when the last reference goes.
///
/// The end of its life may block its thread for at most `destroyLimit`, after which the rest is leaked.
package final class KafkaHandle: Sendable {
    // Safe to share: librdkafka's client is thread-safe, and it is destroyed in `deinit` only.
    nonisolated(unsafe) let pointer: OpaquePointer
    let context: CallbackContext
    let bootstrapServers: String

    private static let destroyLimit = Duration.seconds(5)

    /// - Parameters:
    ///   - isPolled: whether someone will poll the client and thereby serve its error callback.
    ///   - install: sets further callbacks; their opaque pointer is the `CallbackContext`.
    init(
        _ type: rd_kafka_type_t, _ settings: KafkaSettings, _ events: KafkaEvents, isPolled: Bool,
        install: (OpaquePointer) -> Void = { _ in }
    ) throws(KafkaError) {
        let context = CallbackContext(settings, events)
        let conf = try Self.configuration(settings)
        context.install(in: conf, isPolled: isPolled)
        install(conf)
        let retained = Unmanaged.passRetained(context)
        rd_kafka_conf_set_opaque(conf, retained.toOpaque())
        let (client, text) = withErrorText { rd_kafka_new(type, conf, $0, $1) }
        guard let client else {
            let code = rd_kafka_last_error()
            rd_kafka_conf_destroy(conf)
            retained.release()
            throw KafkaError(code, "cannot create a Kafka client: \(text)")
        }
        self.pointer = client
        self.context = context
        self.bootstrapServers = settings["bootstrap.servers"] ?? ""
    }

    deinit {
        nonisolated(unsafe) let client = pointer
        let retained = Unmanaged.passUnretained(context)
        _ = BoundedCall.run(within: Self.destroyLimit) {
            rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
            retained.release()
        }
    }

    private static func configuration(_ settings: KafkaSettings) throws(KafkaError) -> OpaquePointer {
        let conf = rd_kafka_conf_new()!
        for (key, value) in settings.all {
            let (result, text) = withErrorText { rd_kafka_conf_set(conf, key, value, $0, $1) }
            guard result == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(conf)
                // The text quotes the value.
                let reason = KafkaSettings.isSecret(key) ? "the value of \(key) is refused" : text
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, "Kafka property \(key): \(reason)")
            }
        }
        return conf
    }
}

/// Calls a function that may explain its failure in a buffer.
func withErrorText<R>(_ body: (UnsafeMutablePointer<CChar>, Int) -> R) -> (R, String) {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
        text[0] = 0
        let result = body(text.baseAddress!, text.count)
        return (result, String(cString: text.baseAddress!))
    }
}
