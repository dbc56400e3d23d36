import Foundation
import ProgramTestSupport

/// A record of the topic of events.
struct TopicEvent: Decodable {
    let kind: String
    let at: Moment
    let src: String
    let symbol: String?
    let cause: String?
    let close_code: Int?
    let http_status: Int?
    let connected_ms: Int?
    let from: Moment?
    let to: Moment?
    let frames: Int?
    let received: Int?
    let rejected: Int?
    let enqueued: Int?
    let acknowledged: Int?
    let details: [String: Int]?

    init(_ record: TopicTap.Record) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(record.value))
    }

    /// What it says, in short.
    var summary: String {
        var words = [kind]
        if let symbol { words.append(symbol) }
        if let http_status { words.append("HTTP \(http_status)") }
        if let close_code { words.append("code \(close_code)") }
        if let cause { words.append("'\(cause)'") }
        return words.joined(separator: " ")
    }
}
