import TradeModel

/// A symbol in one window.
struct RollupKey: Hashable, Comparable {
    let symbol: ShortText
    let windowStart: Timestamp

    // The compiler's own asks for the members' == at run time.
    static func == (left: RollupKey, right: RollupKey) -> Bool {
        left.windowStart.microseconds == right.windowStart.microseconds && left.symbol == right.symbol
    }

    /// The order in which rows are changed: the same for all members of the group, so that none waits in a circle.
    static func < (left: RollupKey, right: RollupKey) -> Bool {
        left.symbol != right.symbol ? left.symbol < right.symbol : left.windowStart < right.windowStart
    }
}
