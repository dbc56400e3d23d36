import ServiceKit
import Synchronization
import TradeModel

/// Writes the feed's events into their spool, numbered in one row whichever thread tells them.
///
/// It never waits.
final class FeedEventPublisher: Sendable {
    private let source: ShortText
    private let logger: Logger
    private let published: Counter
    private let lost: Counter
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var sequence: SequenceNumbers
        let writer: SpoolWriter
        var value = ByteWriter()

        init(sequence: SequenceNumbers, writer: sending SpoolWriter) {
            self.sequence = sequence
            self.writer = writer
        }
    }

    /// What is kept of a text that the feed's server or the network gave.
    private static let maximumCauseLength = 500

    init(
        spool: Spool, source: ShortText, at now: Timestamp = .now(), logger: Logger, metrics: MetricsRegistry
    ) throws(SpoolError) {
        self.source = source
        self.logger = logger
        let sequence = SequenceNumbers(after: spool.lastSequence, at: now)
        state = Mutex(State(sequence: sequence, writer: try SpoolWriter(spool, lastSequence: sequence.last, at: now)))
        published = metrics.counter("feed_events_total", "Events of the feed written to the spool")
        lost = metrics.counter("feed_events_lost_total", "Events of the feed for which the spool had no place")
    }

    /// Publishes an event. Any thread.
    /// - Parameter fill: sets what its kind tells.
    func publish(_ kind: FeedEvent.Kind, at time: Timestamp = .now(), _ fill: (inout FeedEvent) -> Void = { _ in }) {
        let problem = state.withLock { state -> String? in
            var event = FeedEvent(kind, at: time, source: source, sequence: state.sequence.next())
            fill(&event)
            event.cause = event.cause.map(Self.storable)
            state.value.clear()
            state.value.write(event)
            do {
                guard try append(&state) else { return "the spool of the events is full" }
                state.writer.publish(at: time)
                return nil
            } catch {
                return "\(error)"
            }
        }
        guard let problem else { return published.increment() }
        lost.increment()
        logger.error("an event of the feed is lost", ["feed.event": kind.rawValue, "error": problem])
    }

    private func append(_ state: inout State) throws(SpoolError) -> Bool {
        let result = source.withBytes { key in
            state.value.withBytes { value in
                Result { () throws(SpoolError) in
                    try state.writer.append(key: key, value: value, sequence: state.sequence.last)
                }
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
