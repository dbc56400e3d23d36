import ServiceKit
import TradeModel

/// The trades of a run, rendered once: as the feed sends them, and as they stand in the topic.
final class Workload: Sendable {
    static let tradesPerFrame = 10

    let trades: Int
    let symbols: [String]
    /// The feed's frames as they go over the wire, each behind its WebSocket header.
    let wire: [UInt8]
    /// The frames' texts within `wire`.
    let frames: [Range<Int>]

    /// The records of the topic, each a key and a value behind it.
    private let records: [UInt8]
    private let places: [Record]

    private struct Record {
        let start: Int
        let keyCount: Int
        let valueCount: Int
    }

    init(trades: Int, symbols symbolCount: Int) {
        self.trades = trades
        var market = Market(seed: 20_260_105, symbols: symbolCount)
        symbols = market.symbols
        var renderer = Renderer()
        var rest = trades
        while rest > 0 {
            let count = min(rest, Self.tradesPerFrame)
            renderer.render(&market, trades: count)
            rest -= count
        }
        wire = renderer.wire.withBytes { Array($0) }
        records = renderer.records.withBytes { Array($0) }
        frames = renderer.frames
        places = renderer.places
        precondition(places.count == trades)
    }

    /// Hands every record's key and value to the body, in the feed's order.
    func forEachRecord(
        _ body: (_ index: Int, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) rethrows {
        try records.withUnsafeBytes { bytes in
            for (index, place) in places.enumerated() {
                let value = place.start + place.keyCount
                try body(
                    index, UnsafeRawBufferPointer(rebasing: bytes[place.start..<value]),
                    UnsafeRawBufferPointer(rebasing: bytes[value..<value + place.valueCount]))
            }
        }
    }

    private struct Renderer: ~Copyable {
        var wire = ByteWriter(capacity: 1 << 20)
        var records = ByteWriter(capacity: 1 << 20)
        var frames: [Range<Int>] = []
        var places: [Record] = []
        private var parser = FeedParser()
        private var sequence: Int64 = 0
        private let source = ShortText("bench")!

        mutating func render(_ market: inout Market, trades: Int) {
            var frame = ByteWriter(capacity: 4096)
            market.writeFrame(trades: trades, to: &frame)
            precondition(126..<65_536 ~= frame.count, "a frame of another length has another header")
            for byte in [0x81, 126, UInt8(frame.count >> 8), UInt8(frame.count & 255)] { wire.write(byte: byte) }
            frames.append(wire.count..<wire.count + frame.count)
            frame.withBytes { bytes in
                wire.write(bytes)
                _ = parser.parse(bytes.bindMemory(to: UInt8.self).span)
                for trade in parser.trades { append(trade, bytes) }
            }
        }

        private mutating func append(_ trade: Trade, _ frame: UnsafeRawBufferPointer) {
            sequence += 1
            let start = records.count
            trade.symbol.withBytes { records.write($0) }
            let value = records.count
            records.write(
                TradeRecord(
                    trade: trade, toKafka: Timestamp(milliseconds: trade.time.milliseconds + 120), source: source,
                    sequence: sequence, repeats: 0), conditionsFrom: frame)
            places.append(Record(start: start, keyCount: value - start, valueCount: records.count - value))
        }
    }
}
