/// Reads the frames of Finnhub's trades feed.
///
/// One parser serves one connection on one thread: its arrays keep their memory, so reading a frame allocates nothing once
/// they have grown to the largest frame seen. Facts about the frames: docs/formats.md.
package struct FeedParser {
    /// The trades of the last frame, in its order.
    package private(set) var trades: [Trade] = []
    /// The items of the last frame that are no trades, in its order.
    package private(set) var rejections: [Rejection] = []

    /// An item that was not accepted.
    package struct Rejection: Equatable, Sendable {
        package var reason: RejectionReason
        /// Where the item stands in the frame.
        package var bytes: ByteRange
    }

    /// What a frame was.
    package enum Message: Equatable, Sendable {
        /// Trades: see `trades` and `rejections`.
        case trades
        /// The feed's sign of life.
        case ping
        /// The feed refuses something; the text is its own.
        case error(message: String)
        /// A type that this parser does not know, such as `news`.
        case other(type: String)
        /// No JSON from this byte on. `trades` has what came whole before it, the last of `rejections` what did not.
        case malformed(at: Int)
    }

    package init() {}

    /// Reads one frame, replacing what the last one left.
    package mutating func parse(_ frame: Span<UInt8>) -> Message {
        discard()
        var position = 0
        var envelope = Envelope()
        do throws(RejectionReason) {
            try scan(frame, &position, &envelope)
        } catch {
            let isTrades = envelope.type.map { frame.matches($0, "trade") } ?? true
            if !isTrades { discard() }
            let from = min(envelope.itemStart, frame.count)
            rejections.append(
                Rejection(reason: .malformedJSON, bytes: ByteRange(start: from, count: frame.count - from)))
            return .malformed(at: min(position, frame.count))
        }
        return message(frame, envelope)
    }

    /// What stands around the items. The type may come behind them, so they are read before it is known.
    private struct Envelope {
        var type: ByteRange?
        var text: ByteRange?
        var itemStart = 0
    }

    private mutating func message(_ frame: Span<UInt8>, _ envelope: Envelope) -> Message {
        guard let type = envelope.type else {
            discard()
            return .other(type: "")
        }
        if frame.matches(type, "trade") { return .trades }
        discard()
        if frame.matches(type, "ping") { return .ping }
        if frame.matches(type, "error") { return .error(message: envelope.text.map { frame.string($0) } ?? "") }
        return .other(type: frame.string(type))
    }

    private mutating func discard() {
        // Even of empty arrays it costs more than the question.
        if !trades.isEmpty { trades.removeAll(keepingCapacity: true) }
        if !rejections.isEmpty { rejections.removeAll(keepingCapacity: true) }
    }

    private mutating func scan(
        _ frame: Span<UInt8>, _ position: inout Int, _ envelope: inout Envelope
    ) throws(RejectionReason) {
        try frame.expect(UInt8(ascii: "{"), &position)
        var first = true
        while let key = try frame.scanKey(&position, first: &first)?.content {
            if frame.matches(key, "data") {
                discard()
                if frame.peek(position) == UInt8(ascii: "[") {
                    try scanItems(frame, &position, &envelope)
                } else {
                    try frame.skipValue(&position)
                }
            } else if frame.matches(key, "type") {
                envelope.type = try frame.scanText(&position)
            } else if frame.matches(key, "msg") {
                envelope.text = try frame.scanText(&position)
            } else {
                try frame.skipValue(&position)
            }
        }
        frame.skipSpace(&position)
        envelope.itemStart = position
        guard position == frame.count else { throw .malformedJSON }
    }

    private mutating func scanItems(
        _ frame: Span<UInt8>, _ position: inout Int, _ envelope: inout Envelope
    ) throws(RejectionReason) {
        position += 1
        var first = true
        while try frame.scanElement(&position, first: &first) {
            envelope.itemStart = position
            do throws(RejectionReason) {
                trades.append(try scanTrade(frame, &position))
            } catch {
                // Where the item is JSON, it alone is refused; where it is not, nothing behind it can be trusted.
                position = envelope.itemStart
                try frame.skipValue(&position)
                let range = ByteRange(start: envelope.itemStart, count: position - envelope.itemStart)
                rejections.append(Rejection(reason: error, bytes: range))
            }
            envelope.itemStart = position
        }
    }

    private func scanTrade(_ frame: Span<UInt8>, _ position: inout Int) throws(RejectionReason) -> Trade {
        guard frame.peek(position) == UInt8(ascii: "{") else { throw .notAnObject }
        position += 1
        var fields = TradeFields()
        var first = true
        while let key = try frame.scanKey(&position, first: &first)?.content {
            if try !fields.scan(key, frame, &position) { try frame.skipValue(&position) }
        }
        return try fields.trade()
    }
}

/// The fields of a trade as they come in, in any order: the same in the feed and in the topic.
struct TradeFields {
    private var symbol: ShortText?
    private var price: Decimal?
    private var volume: Decimal?
    private var time: Timestamp?
    private var conditions = ByteRange.empty

    /// Reads the value of the key when it is one of a trade's; false, with nothing read, when it is not.
    @inline(__always)
    mutating func scan(
        _ key: ByteRange, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(RejectionReason) -> Bool {
        guard key.count == 1 else { return false }
        switch bytes[unchecked: key.start] {
        case UInt8(ascii: "s"): symbol = try bytes.scanShortText(&position)
        case UInt8(ascii: "p"): price = try bytes.scanPrice(&position)
        case UInt8(ascii: "v"): volume = try bytes.scanVolume(&position)
        case UInt8(ascii: "t"): time = try bytes.scanMilliseconds(&position)
        case UInt8(ascii: "c"): conditions = try bytes.scanConditions(&position)
        default: return false
        }
        return true
    }

    @inline(__always)
    func trade() throws(RejectionReason) -> Trade {
        guard let symbol, let price, let volume, let time else { throw .missingField }
        return Trade(symbol: symbol, price: price, volume: volume, time: time, conditions: conditions)
    }
}
