import Kafka
import ServiceKit
import Synchronization

/// Asks, on a thread of its own, how far the logs of the owned partitions reach: for the lag, and to notice a log that has
/// become shorter, or is gone: then it is another one, of which Kafka's client tells nothing when it grows fast enough.
final class LogWatch: Sendable {
    private struct State {
        /// Where the log of each partition ended when it was asked last.
        var ends: [Int32: Int64] = [:]
        /// Those of which the broker has just told the end.
        var told: Set<Int32> = []
        var isNudged = false
        var isStopping = false
    }

    private static let interval = Duration.seconds(1)

    private let state = ConditionLock(State())
    private let doubted = Atomic(false)
    private let consumer: KafkaConsumer
    private let topic: String
    private let metrics: TopicReaderMetrics

    init(consumer: KafkaConsumer, topic: String, metrics: TopicReaderMetrics) {
        self.consumer = consumer
        self.topic = topic
        self.metrics = metrics
    }

    func start() {
        ServiceThread.start("log watch") { [self] in run() }
    }

    func stop() {
        state.withLock { $0.isStopping = true }
    }

    /// Looks at these partitions from now on, and at no others.
    func watch(_ partitions: [Int32]) {
        let former = state.withLock { state in
            defer { (state.ends, state.told) = (Dictionary(uniqueKeysWithValues: partitions.map { ($0, -1) }), []) }
            return state.ends.keys
        }
        // What somebody else reads lags with him.
        for partition in former where !partitions.contains(partition) { metrics.lag(partition).set(0) }
    }

    /// Whether a log has become shorter since this was asked last; cheap enough to ask in a loop.
    func takeDoubt() -> Bool {
        doubted.load(ordering: .relaxed) && doubted.exchange(false, ordering: .acquiring)
    }

    /// Whether a partition's log reaches beyond the offset given, as its broker has just told.
    func reaches(beyond offset: Int64, _ partition: Int32) -> Bool {
        state.withLock { $0.told.contains(partition) && $0.ends[partition, default: -1] > offset }
    }

    /// Has the logs looked at now: whatever is asked of a broker wakes the thread of Kafka's client that fetches from it,
    /// which in librdkafka 2.0 sleeps for up to a second once enough has been fetched ahead, however soon that is used up.
    func nudge() {
        state.withLock { $0.isNudged = true }
    }

    private func run() {
        while true {
            let isStopping = state.wait(for: Self.interval) { state -> Bool? in
                guard state.isStopping || state.isNudged else { return nil }
                state.isNudged = false
                return state.isStopping
            }
            if isStopping == true { return }
            for partition in state.withLock({ $0.ends.keys.sorted() }) { look(at: partition) }
        }
    }

    private func look(at partition: Int32) {
        let end: Int64
        do {
            end = try consumer.watermarks(TopicPartition(topic: topic, partition: partition), timeout: .seconds(5)).high
        } catch {
            state.withLock { _ = $0.told.remove(partition) }
            // Kafka is away, which is no news here; or the topic is.
            if error.name.contains("UNKNOWN_") { doubt() }
            return
        }
        let isShorter = state.withLock { state in
            guard let before = state.ends[partition] else { return false }
            state.ends[partition] = end
            state.told.insert(partition)
            return end < before
        }
        metrics.lag(partition).set(max(0, end - metrics.nextOffset(partition).value))
        if isShorter { doubt() }
    }

    private func doubt() {
        doubted.store(true, ordering: .releasing)
        consumer.wake()
    }
}
