import TradeModel

/// Numbers that rise strictly within a source, across restarts too.
///
/// They begin at the start's wall clock in microseconds. A run that sends fewer than a million trades a second ends below
/// the clock, so the next one begins above it, provided that the clock was not set back.
struct SequenceNumbers {
    private var last: Int64

    init(after start: Timestamp) {
        last = start.microseconds
    }

    /// The next number.
    mutating func next() -> Int64 {
        last += 1
        return last
    }
}
