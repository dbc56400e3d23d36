import TradeModel

/// Where the frames of one connection come from.
protocol Feed {
    /// The client wants a symbol's trades.
    mutating func subscribe(_ symbol: ShortText, at now: Moment)
    /// The client no longer wants them.
    mutating func unsubscribe(_ symbol: ShortText)
    /// How many trades or frames should have been sent by now and are not.
    func due(at now: Moment) -> Int
    /// Writes the next frame that is due.
    /// - Parameter allowance: the most trades that may be sent.
    /// - Returns: how many trades the frame holds; nil when none is due.
    mutating func writeFrame(_ frame: inout FrameWriter, at now: Moment, allowance: Int) -> Int?
}
