/// The topic's form of a trade: one flat JSON object a record (docs/formats.md).
extension TradeRecord {
    /// Reads a record's value in one pass. Fields that are not known are ignored: later versions may add some.
    package init(json bytes: Span<UInt8>) throws(RejectionReason) {
        do throws(RejectionReason) {
            self = try bytes.scanWrittenTradeRecord()
        } catch {
            self = try bytes.scanAnyTradeRecord()
        }
    }
}

extension Span<UInt8> {
    /// Throws unless the whole text is one JSON value.
    func checkJSON() throws(RejectionReason) {
        var position = 0
        try skipValue(&position)
        skipSpace(&position)
        guard position == count else { throw .malformedJSON }
    }

    /// Reads a record in exactly the form that `ByteWriter` writes, which spares the search for keys.
    ///
    /// What it throws of another form means nothing: `scanAnyTradeRecord` finds out what is wrong, if anything is.
    fileprivate func scanWrittenTradeRecord() throws(RejectionReason) -> TradeRecord {
        var position = 0
        try skip("{\"s\":", &position)
        let symbol = try scanShortText(&position)
        try skip(",\"p\":", &position)
        let price = try scanPrice(&position)
        try skip(",\"t\":", &position)
        let milliseconds = try scanWrittenNumber(&position)
        guard milliseconds <= Timestamp.representableMilliseconds.upperBound else { throw .timeOutOfRange }
        try skip(",\"v\":", &position)
        let volume = try scanVolume(&position)
        try skip(",\"c\":", &position)
        let conditions = try scanConditions(&position)
        try skip(",\"to_kafka\":", &position)
        let toKafka = try scanWrittenTimestamp(&position)
        try skip(",\"src\":", &position)
        let source = try scanShortText(&position)
        try skip(",\"seq\":", &position)
        let sequence = try scanWrittenNumber(&position)
        try skip(",\"repeat\":", &position)
        let repeats = try scanWrittenNumber(&position)
        try skip("}", &position)
        guard position == count, repeats <= Int32.max else { throw .malformedJSON }
        return TradeRecord(
            trade: Trade(
                symbol: symbol, price: price, volume: volume, time: Timestamp(milliseconds: milliseconds),
                conditions: conditions),
            toKafka: toKafka, source: source, sequence: sequence, repeats: Int32(repeats))
    }

    @inline(never)
    fileprivate func scanAnyTradeRecord() throws(RejectionReason) -> TradeRecord {
        do throws(RejectionReason) {
            return try scanTradeRecord()
        } catch {
            // What is no JSON to its end is called so, whatever else was wrong before.
            try checkJSON()
            throw error
        }
    }

    private func scanTradeRecord() throws(RejectionReason) -> TradeRecord {
        var position = 0
        skipSpace(&position)
        guard peek(position) == UInt8(ascii: "{") else { throw .notAnObject }
        position += 1
        var fields = TradeFields()
        var toKafka: Timestamp?
        var source: ShortText?
        var sequence: Int64?
        var repeats: Int32 = 0
        var first = true
        while let key = try scanKey(&position, first: &first)?.content {
            if try fields.scan(key, self, &position) {
                continue
            } else if matches(key, "to_kafka") {
                toKafka = try scanTimestamp(&position)
            } else if matches(key, "src") {
                source = try scanShortText(&position)
            } else if matches(key, "seq") {
                sequence = try scanCount(&position)
            } else if matches(key, "repeat") {
                repeats = try scanCount(&position)
            } else {
                try skipValue(&position)
            }
        }
        skipSpace(&position)
        guard position == count else { throw .malformedJSON }
        guard let toKafka, let source, let sequence else { throw .missingField }
        return TradeRecord(
            trade: try fields.trade(), toKafka: toKafka, source: source, sequence: sequence, repeats: repeats)
    }
}

extension ByteWriter {
    /// Appends a record's value. `message` is what the trade was read from: its conditions are copied as they stand there.
    package mutating func write(_ record: borrowing TradeRecord, conditionsFrom message: UnsafeRawBufferPointer) {
        write("{\"s\":")
        record.trade.symbol.withBytes { writeJSONString($0) }
        write(",\"p\":")
        write(record.trade.price)
        write(",\"t\":")
        write(record.trade.time.milliseconds)
        write(",\"v\":")
        write(record.trade.volume)
        write(",\"c\":")
        if record.trade.conditions.isEmpty {
            write("null")
        } else {
            write(record.trade.conditions.bytes(in: message))
        }
        write(",\"to_kafka\":\"")
        write(record.toKafka)
        write("\",\"src\":")
        record.source.withBytes { writeJSONString($0) }
        write(",\"seq\":")
        write(record.sequence)
        write(",\"repeat\":")
        write(Int64(record.repeats))
        write(byte: UInt8(ascii: "}"))
    }
}
