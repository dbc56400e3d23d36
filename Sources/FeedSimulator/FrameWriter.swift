import TradeModel

/// Writes the frames that the feed sends, one at a time into the same memory.
struct FrameWriter: ~Copyable {
    private var bytes = ByteWriter(capacity: 8192)
    /// Both orders of keys have been seen in the feed, so frames take turns.
    private var startsWithType = false
    /// Chooses how far times are shifted.
    private var random = SeededRandom(seed: 0)

    /// Lends the frame for the length of the call.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withBytes(body)
    }

    /// Writes a frame with the market's next trades.
    mutating func writeTrades(
        _ count: Int, of market: inout Market, at time: Timestamp, style: TradeStyle = TradeStyle()
    ) {
        bytes.clear()
        startsWithType = style.keys.map { $0 == .typeFirst } ?? !startsWithType
        bytes.write(startsWithType ? "{\"type\":\"trade\",\"data\":[" : "{\"data\":[")
        for index in 0..<count {
            let trade = market.next()
            let milliseconds = time.milliseconds - trade.delay + shift(style.shift)
            for copy in 0..<style.copies {
                if index + copy > 0 { bytes.write(byte: UInt8(ascii: ",")) }
                if startsWithType {
                    bytes.writeItemFromTime(trade, milliseconds, style)
                } else {
                    bytes.writeItemByName(trade, milliseconds, style)
                }
            }
        }
        bytes.write(startsWithType ? "]}" : "],\"type\":\"trade\"}")
    }

    private mutating func shift(_ range: ClosedRange<Int64>) -> Int64 {
        guard range.lowerBound < range.upperBound else { return range.lowerBound }
        return range.lowerBound + random.next(below: range.upperBound - range.lowerBound + 1)
    }

    /// Writes the feed's sign of life.
    mutating func writePing() {
        bytes.clear()
        bytes.write("{\"type\":\"ping\"}")
    }

    /// Writes an error frame.
    mutating func writeError(_ message: String) {
        bytes.clear()
        var message = message
        bytes.write("{\"msg\":")
        message.withUTF8 { bytes.writeJSONString(UnsafeRawBufferPointer($0)) }
        bytes.write(",\"type\":\"error\"}")
    }

    /// Writes a frame as it was recorded.
    mutating func write(verbatim frame: String) {
        bytes.clear()
        bytes.write(frame)
    }
}

extension ByteWriter {
    /// Appends an item with its keys as newer frames order them.
    fileprivate mutating func writeItemFromTime(_ trade: MarketTrade, _ milliseconds: Int64, _ style: TradeStyle) {
        write("{\"t\":")
        write(milliseconds)
        write(",\"p\":")
        write(trade.price, as: style.numbers)
        write(",\"v\":")
        write(trade.volume, as: style.numbers)
        if let conditions = (style.conditions ?? trade.conditions).json {
            write(",\"c\":")
            write(conditions)
        }
        write(",\"s\":")
        trade.symbol.withBytes { writeJSONString($0) }
        write(byte: UInt8(ascii: "}"))
    }

    /// Appends an item with its keys in alphabetical order.
    fileprivate mutating func writeItemByName(_ trade: MarketTrade, _ milliseconds: Int64, _ style: TradeStyle) {
        write(byte: UInt8(ascii: "{"))
        if let conditions = (style.conditions ?? trade.conditions).json {
            write("\"c\":")
            write(conditions)
            write(byte: UInt8(ascii: ","))
        }
        write("\"p\":")
        write(trade.price, as: style.numbers)
        write(",\"s\":")
        trade.symbol.withBytes { writeJSONString($0) }
        write(",\"t\":")
        write(milliseconds)
        write(",\"v\":")
        write(trade.volume, as: style.numbers)
        write(byte: UInt8(ascii: "}"))
    }
}
