import Kafka
import ServiceKit

extension KafkaCluster {
    /// The cluster's id, waited for until the brokers can be reached; nil when asked to stop meanwhile. Blocks.
    /// - Throws: what waiting does not mend.
    package func clusterID(until shutdown: ShutdownSignal, logger: Logger) throws(KafkaError) -> String? {
        while !shutdown.isRequested {
            do throws(KafkaError) {
                return try clusterID(timeout: .seconds(5))
            } catch {
                guard error.isRetriable else { throw error }
                logger.warning("waiting for Kafka", ["kafka.bootstrap": bootstrapServers, "error": "\(error)"])
            }
        }
        return nil
    }
}
