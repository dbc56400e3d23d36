import ProgramTestSupport
import TestSupport

/// A record of the topic of trades.
struct TopicTrade {
    /// What the feed said.
    let line: String
    let source: String
    let sequence: Int
    let takenAt: Moment
    let repeats: Int

    init(_ record: TopicTap.Record) throws {
        let value = try JSONText(record.value)
        guard let source = value["src"]?.string, let sequence = value["seq"]?.number.flatMap({ Int($0) }),
            let repeats = value["repeat"]?.number.flatMap({ Int($0) }), let time = value["to_kafka"]?.string,
            record.key.map({ String(decoding: $0, as: UTF8.self) }) == value["s"]?.string
        else { throw TestFailure("no record of a trade: \(String(decoding: record.value, as: UTF8.self))") }
        line = try TradeLine.of(value)
        (self.source, self.sequence, self.repeats) = (source, sequence, repeats)
        takenAt = try Moment(time)
    }
}
