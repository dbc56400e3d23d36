import Foundation
import TestSupport

/// What came of a scenario: all that the feed sent, that stands in the topics, and that the programs said.
struct Outcome {
    /// What one producer told.
    struct Producer {
        let source: String
        /// In Prometheus' text format, as it was just before the stop.
        let metrics: String
        var log = ""

        /// The value of a series, such as `feed_items_rejected_total{reason="malformed_json"}`; nil when there is none.
        func metric(_ series: String) -> Double? {
            metrics.split(separator: "\n").first { $0.hasPrefix("\(series) ") }
                .flatMap { Double($0.dropFirst(series.count + 1)) }
        }

        /// The sum of a metric's series.
        func sum(_ name: String) -> Double {
            metrics.split(separator: "\n").filter { $0.hasPrefix("\(name){") }
                .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
        }

        /// The pauses before each next attempt, as the log has them.
        var pauses: [Double] {
            log.matches(of: /after="([0-9.e-]+) seconds"/).compactMap { Double($0.1) }
        }
    }

    let expectation: Expectation
    let producers: [Producer]
    /// As the simulator recorded them.
    let connections: [RecordedFeed.Connection]
    /// In the topic's order, of all producers.
    let trades: [TopicTrade]
    let events: [TopicEvent]

    init(
        _ expectation: Expectation, producers: [Producer], connections: [RecordedFeed.Connection], trades: [TopicTrade],
        events: [TopicEvent]
    ) {
        self.expectation = expectation
        self.producers = producers
        self.connections = connections
        self.trades = trades
        self.events = events
    }

    /// Those that were open.
    var open: [RecordedFeed.Connection] { connections.filter(\.isAccepted) }

    /// What a producer told of its connection, without what is told once a second.
    func story(of source: String = FaultRun.sources[0]) -> [TopicEvent] {
        events.filter { $0.src == source && !["counters", "rejected_items"].contains($0.kind) }
    }

    /// When something happened, by the time of all others, that happened at a moment of a producer's clock.
    func real(_ moment: Moment, of producer: Producer) throws -> Moment {
        guard expectation.speed > 1 else { return moment }
        guard let since = producer.log.firstMatch(of: /clock\.since=([^ \n]+)/)?.1 else {
            throw TestFailure("the producer's clock has not been sped up")
        }
        let start = try Moment(String(since))
        return Moment(
            microseconds: start.microseconds + (moment.microseconds - start.microseconds) / Int64(expectation.speed))
    }
}
