import Kafka
import ServiceKit

extension KafkaEvents {
    /// Sends what a client reports to the log.
    package init(logger: Logger) {
        self.init(
            log: { level, facility, message in
                logger.log(
                    LogLevel(rawValue: level.rawValue) ?? .info, "Kafka client",
                    ["kafka.facility": facility, "kafka.message": message])
            },
            error: { error in logger.warning("Kafka error", ["error": "\(error)"]) })
    }
}

/// What is said at start where the broker is the embedded one.
package func warnOfEmbeddedBroker(cluster: String, logger: Logger) {
    guard cluster.hasPrefix("mockCluster") else { return }
    logger.warning("this broker is the embedded one, for trying out only: it forgets everything when it stops")
}
