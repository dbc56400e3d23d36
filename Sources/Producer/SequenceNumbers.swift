import TradeModel

/// Numbers that rise strictly within a source, across restarts too.
///
/// They begin above the highest number in the spool and not below the wall clock in microseconds. So they rise though the
/// clock was set back; and where a spool was lost, they rise if the clock was not, since a run that sends fewer than a
/// million trades a second ends below the clock.
struct SequenceNumbers {
    private(set) var last: Int64

    /// - Parameters:
    ///   - lastKnown: the highest number that is known to be taken.
    ///   - now: the wall clock.
    init(after lastKnown: Int64?, at now: Timestamp) {
        last = max(lastKnown ?? .min, now.microseconds)
    }

    /// The next number.
    mutating func next() -> Int64 {
        last += 1
        return last
    }
}
