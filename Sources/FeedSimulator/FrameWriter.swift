import TradeModel

/// Writes the frames that the feed sends, one at a time into the same memory.
struct FrameWriter: ~Copyable {
    private var bytes = ByteWriter(capacity: 8192)
    /// Both orders of keys have been seen in the feed, so frames take turns.
    private var startsWithType = false

    /// Lends the frame for the length of the call.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withBytes(body)
    }

    /// Writes a frame with the market's next trades.
    mutating func writeTrades(_ count: Int, of market: inout Market, at time: Timestamp) {
        bytes.clear()
        startsWithType.toggle()
        bytes.write(startsWithType ? "{\"type\":\"trade\",\"data\":[" : "{\"data\":[")
        for index in 0..<count {
            if index > 0 { bytes.write(byte: UInt8(ascii: ",")) }
            let trade = market.next()
            if startsWithType {
                bytes.writeItemFromTime(trade, time.milliseconds - trade.delay)
            } else {
                bytes.writeItemByName(trade, time.milliseconds - trade.delay)
            }
        }
        bytes.write(startsWithType ? "]}" : "],\"type\":\"trade\"}")
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
    fileprivate mutating func writeItemFromTime(_ trade: MarketTrade, _ milliseconds: Int64) {
        write("{\"t\":")
        write(milliseconds)
        write(",\"p\":")
        writeFeedNumber(trade.price)
        write(",\"v\":")
        writeFeedNumber(trade.volume)
        if let conditions = trade.conditions.json {
            write(",\"c\":")
            write(conditions)
        }
        write(",\"s\":")
        trade.symbol.withBytes { writeJSONString($0) }
        write(byte: UInt8(ascii: "}"))
    }

    /// Appends an item with its keys in alphabetical order.
    fileprivate mutating func writeItemByName(_ trade: MarketTrade, _ milliseconds: Int64) {
        write(byte: UInt8(ascii: "{"))
        if let conditions = trade.conditions.json {
            write("\"c\":")
            write(conditions)
            write(byte: UInt8(ascii: ","))
        }
        write("\"p\":")
        writeFeedNumber(trade.price)
        write(",\"s\":")
        trade.symbol.withBytes { writeJSONString($0) }
        write(",\"t\":")
        write(milliseconds)
        write(",\"v\":")
        writeFeedNumber(trade.volume)
        write(byte: UInt8(ascii: "}"))
    }

    /// Appends a number as the feed's JSON library does: with an exponent when it is below 10^−6.
    mutating func writeFeedNumber(_ number: Decimal) {
        guard number.scale > 6, number.coefficient != 0 else { return write(number) }
        var places = 0
        while number.coefficient.magnitude >= Decimal.powerOfTen(places + 1).magnitude { places += 1 }
        let exponent = places - Int(number.scale)
        guard exponent < -6 else { return write(number) }
        write(Decimal(coefficient: number.coefficient, scale: UInt8(places)))
        write(byte: UInt8(ascii: "e"))
        write(Int64(exponent))
    }
}
