import Kafka
import ServiceKit
import Synchronization
import TradeModel

/// Publishes the feed's events to their topic, numbered in one row whichever thread tells them.
///
/// It never waits: what Kafka's client has no room for stays here, in order, until `deliver` finds room.
final class FeedEventPublisher: Sendable {
    let topic: KafkaProducerTopic
    private let source: ShortText
    private let logger: Logger
    private let published: Counter
    private let lost: Counter
    private let state: Mutex<State>

    private struct State {
        var sequence: SequenceNumbers
        /// Events that the topic has not got yet, the first one first.
        var waiting: [[UInt8]] = []
    }

    /// Events that wait at most: days of a feed that is dialled in vain.
    private static let maximumWaiting = 10_000
    /// What is kept of a text that the feed's server or the network gave.
    private static let maximumCauseLength = 500

    init(
        topic: KafkaProducerTopic, source: ShortText, sequence: SequenceNumbers, logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.topic = topic
        self.source = source
        self.logger = logger
        state = Mutex(State(sequence: sequence))
        published = metrics.counter("feed_events_total", "Events of the feed handed to Kafka's client")
        lost = metrics.counter("feed_events_lost_total", "Events of the feed that could not be published")
    }

    /// Publishes an event. Any thread.
    /// - Parameter fill: sets what its kind tells.
    func publish(_ kind: FeedEvent.Kind, at time: Timestamp = .now(), _ fill: (inout FeedEvent) -> Void = { _ in }) {
        state.withLock { state in
            var event = FeedEvent(kind, at: time, source: source, sequence: state.sequence.next())
            fill(&event)
            event.cause = event.cause.map(Self.storable)
            guard state.waiting.count < Self.maximumWaiting else { return lost.increment() }
            var value = ByteWriter()
            value.write(event)
            state.waiting.append(value.withBytes { Array($0) })
            deliver(&state)
        }
    }

    /// Hands over what has been waiting, as far as there is room. Any thread.
    func deliver() {
        state.withLock { deliver(&$0) }
    }

    private func deliver(_ state: inout State) {
        var done = 0
        while done < state.waiting.count {
            do throws(KafkaError) {
                guard try produce(state.waiting[done]) == .enqueued else { break }
                published.increment()
            } catch {
                lost.increment()
                logger.error("an event of the feed was not taken by Kafka's client", ["error": "\(error)"])
            }
            done += 1
        }
        state.waiting.removeFirst(done)
    }

    private func produce(_ value: [UInt8]) throws(KafkaError) -> ProduceOutcome {
        let result = source.withBytes { key in
            value.withUnsafeBytes { value in
                Result { () throws(KafkaError) in try topic.produce(key: key, value: value) }
            }
        }
        return try result.get()
    }

    /// PostgreSQL stores no U+0000.
    private static func storable(_ cause: String) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: cause.unicodeScalars.prefix(maximumCauseLength).map { $0 == "\0" ? "\u{FFFD}" : $0 })
        return String(text)
    }
}
