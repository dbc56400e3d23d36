import Kafka
import ServiceKit

extension KafkaEvents {
    /// Sends what a client reports to the log.
    ///
    /// - Parameter delivered: what becomes of records that are sent with a token.
    package init(logger: Logger, delivered: @escaping @Sendable (_ token: Int, KafkaError?) -> Void = { _, _ in }) {
        self.init(
            log: { level, facility, message in
                logger.log(
                    LogLevel(rawValue: level.rawValue) ?? .info, "Kafka client",
                    ["kafka.facility": facility, "kafka.message": message])
            },
            error: { error in logger.warning("Kafka error", ["error": "\(error)"]) },
            delivered: delivered)
    }
}

/// What is said at start where the broker is the embedded one.
package func warnOfEmbeddedBroker(cluster: String, logger: Logger) {
    guard cluster.hasPrefix("mockCluster") else { return }
    logger.warning("this broker is the embedded one, for trying out only: it forgets everything when it stops")
}
