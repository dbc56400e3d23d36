/// Why a partition cannot be read on from where its reader stands: its log has lost records, or is another one.
package enum LogFault: Error, Hashable, Sendable {
    /// The log begins behind the position, at `first`.
    case expired(first: Int64)
    /// The log ends before the position, at `end`.
    case shorter(end: Int64)
    /// The record before the position is not the one that was stored.
    case otherRecord
    /// Behind the position the log goes on at `found` only.
    case missing(found: Int64)

    /// What happened, and the command that resolves it.
    func explanation(topic: String, partition: Int32, position: Int64) -> String {
        let place = "\(topic) [\(partition)]"
        let reset = "consumer ledger reset --topic \(topic) --partition \(partition) --to"
        switch self {
        case .expired(let first):
            return
                "\(place) begins at offset \(first), where \(position) must come: the records between are gone, since the "
                + "topic's retention was shorter than this reader was away, or they were deleted; "
                + "'\(reset) \(first)' goes on behind them"
        case .shorter(let end):
            return
                "\(place) ends at offset \(end), but the records before \(position) have been stored: the topic was made "
                + "anew, or its log was cut; '\(reset) earliest' begins with what it holds now"
        case .otherRecord:
            return
                "\(place) has another record at offset \(position - 1) than the one that was stored from there: the topic "
                + "was made anew; '\(reset) earliest' begins with what it holds now"
        case .missing(let found):
            return
                "\(place) goes on at offset \(found), where \(position) must come: records are missing from the topic; "
                + "'\(reset) \(found)' goes on behind them"
        }
    }

    /// The offsets `position ..< end` of the records that are lost, as far as the log tells.
    func lost(from position: Int64) -> Int64? {
        switch self {
        case .expired(let first): first
        case .missing(let found): found
        case .shorter, .otherRecord: nil
        }
    }
}
