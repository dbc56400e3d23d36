import Kafka

/// What Kafka's client tells of the records that were sent, gathered while it is polled.
///
/// Everything happens on the thread that polls, which is what makes the unchecked `Sendable` safe.
final class DeliveryReports: @unchecked Sendable {
    private(set) var acknowledged: [Int] = []
    /// The first record that was not delivered, and why.
    private(set) var failure: KafkaError?

    func add(_ token: Int, _ error: KafkaError?) {
        if let error {
            failure = failure ?? error
        } else {
            acknowledged.append(token)
        }
    }

    /// Forgets everything, and keeps the memory.
    func clear() {
        acknowledged.removeAll(keepingCapacity: true)
        failure = nil
    }
}
