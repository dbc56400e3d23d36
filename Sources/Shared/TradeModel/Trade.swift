/// A trade as the feed reports it.
///
/// A plain value without references: it can be copied through a hot path. Its conditions are named by their place in the
/// bytes that the trade was read from.
package struct Trade: Equatable, Sendable {
    /// The feed's name of the instrument, such as `AAPL` or `BINANCE:BTCUSDT`; never empty.
    package var symbol: ShortText
    /// Price a unit, above zero.
    package var price: Decimal
    /// Units traded; zero for a pure change of price.
    package var volume: Decimal
    /// When the trade happened, by the feed's clock (milliseconds in the feed).
    package var time: Timestamp
    /// Where the JSON text of the conditions stands in the source bytes; empty for `null` or none.
    package var conditions: ByteRange

    package init(symbol: ShortText, price: Decimal, volume: Decimal, time: Timestamp, conditions: ByteRange) {
        self.symbol = symbol
        self.price = price
        self.volume = volume
        self.time = time
        self.conditions = conditions
    }
}

/// A trade as it stands in the topic `trades`: what the feed reported, and what the producer adds.
package struct TradeRecord: Equatable, Sendable {
    /// What the feed reported.
    package var trade: Trade
    /// When the producer handed the record to Kafka, UTC.
    package var toKafka: Timestamp
    /// Which producer sent it: a stable name.
    package var source: ShortText
    /// Strictly rising within a source.
    package var sequence: Int64
    /// How many identical trades the source saw shortly before this one.
    package var repeats: Int32

    /// The record's key in the topic, which decides its partition: a symbol's trades stay in order.
    package var key: ShortText { trade.symbol }

    /// The source of records that were rejected and are sent again; no producer's name.
    package static let retrySource = ShortText("retry")!

    package init(trade: Trade, toKafka: Timestamp, source: ShortText, sequence: Int64, repeats: Int32) {
        self.trade = trade
        self.toKafka = toKafka
        self.source = source
        self.sequence = sequence
        self.repeats = repeats
    }
}

/// A range of bytes in a message, kept as two numbers so that it may outlive a borrow of the message.
package struct ByteRange: Equatable, Sendable {
    package var start: Int
    package var count: Int

    package init(start: Int, count: Int) {
        self.start = start
        self.count = count
    }

    /// No bytes.
    package static let empty = ByteRange(start: 0, count: 0)

    package var isEmpty: Bool { count == 0 }

    /// The bytes of this range in the message that it was read from.
    package func bytes(in message: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: message[start..<start + count])
    }
}
