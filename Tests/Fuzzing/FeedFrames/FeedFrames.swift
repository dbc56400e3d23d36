/// Frames of the feed, as they may come: any bytes are read without harm, and what is accepted comes back from the topic's
/// form as it was.
@c(LLVMFuzzerTestOneInput)
package func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
    readAsFrame(input)
    readAsRecord(input)
    return 0
}

private func readAsFrame(_ frame: UnsafeBufferPointer<UInt8>) {
    var parser = FeedParser()
    let message = parser.parse(frame.span)
    for trade in parser.trades {
        check(trade, of: frame)
        let record = TradeRecord(
            trade: trade, toKafka: Timestamp(microseconds: 1_787_924_136_086_001), source: ShortText("fuzz")!,
            sequence: 1, repeats: 0)
        roundTrip(record, of: frame)
    }
    for rejection in parser.rejections {
        require(0...frame.count ~= rejection.bytes.start, "a rejected item starts inside its frame")
        require(0...frame.count - rejection.bytes.start ~= rejection.bytes.count, "and ends inside of it")
    }
    var isMalformed = false
    if case .malformed(let position) = message {
        isMalformed = true
        require(0...frame.count ~= position, "a fault is inside its frame")
    }
    // Near the greatest depth, which is counted from the frame's values here and from the frame there, the two may differ.
    if frame.count(where: { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") }) < 60 {
        require(isMalformed != isJSONObject(frame), "malformed is what is no JSON object, and nothing else")
    }
}

private func readAsRecord(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let record = try? TradeRecord(json: bytes.span) else { return }
    check(record.trade, of: bytes)
    roundTrip(record, of: bytes)
}

private func check(_ trade: Trade, of source: UnsafeBufferPointer<UInt8>) {
    require(1...47 ~= trade.symbol.count, "a symbol has 1 to 47 bytes")
    trade.symbol.withBytes { bytes in
        require(bytes.allSatisfy { $0 >= 0x20 }, "a symbol has no control characters")
        require(String(validating: bytes, as: UTF8.self) != nil, "a symbol is UTF-8")
    }
    require(trade.price.coefficient > 0 && trade.volume.coefficient >= 0, "price and volume keep their rules")
    require(Timestamp.representableMilliseconds ~= trade.time.milliseconds, "a time is between 1970 and 9999")
    require(
        0...source.count ~= trade.conditions.start
            && 0...source.count - trade.conditions.start ~= trade.conditions.count,
        "the conditions stand inside their message")
}

/// Written as the topic has it and read again, a record is what it was, and written again the same bytes.
private func roundTrip(_ record: TradeRecord, of source: UnsafeBufferPointer<UInt8>) {
    var writer = ByteWriter()
    writer.write(record, conditionsFrom: UnsafeRawBufferPointer(source))
    writer.withBytes { written in
        guard let again = try? TradeRecord(json: written.bindMemory(to: UInt8.self).span) else {
            fatalError("a record that was written can be read")
        }
        require(again.trade.symbol == record.trade.symbol, "the symbol stays")
        require(again.trade.price == record.trade.price, "the price stays")
        require(again.trade.volume == record.trade.volume, "the volume stays")
        require(again.trade.time == record.trade.time, "the time stays")
        require(again.toKafka == record.toKafka && again.source == record.source, "time and source stay")
        require(again.sequence == record.sequence && again.repeats == record.repeats, "the numbers stay")
        require(
            again.trade.conditions.bytes(in: written).elementsEqual(
                record.trade.conditions.bytes(in: UnsafeRawBufferPointer(source))), "the conditions stay")
        var second = ByteWriter()
        second.write(again, conditionsFrom: written)
        second.withBytes { require($0.elementsEqual(written), "the bytes stay") }
    }
}

/// Whether the bytes are one JSON object, asked of the scanner that only skips.
private func isJSONObject(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var position = 0
    bytes.span.skipSpace(&position)
    return bytes.span.peek(position) == UInt8(ascii: "{") && (try? bytes.span.checkJSON()) != nil
}

private func require(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("does not hold: \(what)") }
}
