import ServiceKit
import TradeModel

/// A recorded feed: frames with the time of each since the connect. Other lines of a recording are passed over.
struct Replay {
    /// A frame as it was recorded.
    struct Frame {
        /// Since the connect.
        let offset: Duration
        let text: String
        /// Whose trades it holds; empty for what is no trade frame, or none that can be read.
        let symbols: Set<ShortText>
        let trades: Int
    }

    let frames: [Frame]

    /// Reads a file of lines such as `{"at_ms":431.05,"frame":"…"}`.
    /// - Throws: `SystemError` when it cannot be read, `ConfigurationError` naming the first line that is none of these.
    init(contentsOf path: String) throws {
        try self.init(readTextFile(path), path: path)
    }

    /// Reads such lines from a text; the path is for errors.
    init(_ text: String, path: String) throws(ConfigurationError) {
        var frames: [Frame] = []
        var parser = FeedParser()
        var number = 0
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            let object = try? JSONObject(Array(line).span)
            if object?.string("event") != nil || object?.string("fault") != nil { continue }
            guard let frame = object.flatMap({ Frame($0, &parser) }), frame.offset >= frames.last?.offset ?? .zero
            else {
                throw ConfigurationError(
                    "--replay '\(path)', line \(number): must look like {\"at_ms\":431.05,\"frame\":\"…\"}, in rising order"
                )
            }
            frames.append(frame)
        }
        self.frames = frames
    }

    /// All symbols that trades are recorded of.
    var symbols: Set<ShortText> {
        frames.reduce(into: []) { $0.formUnion($1.symbols) }
    }
}

extension Replay.Frame {
    fileprivate init?(_ object: JSONObject, _ parser: inout FeedParser) {
        guard let microseconds = object.number("at_ms")?.microseconds, let text = object.string("frame") else {
            return nil
        }
        _ = parser.parse(Array(text.utf8).span)
        offset = .microseconds(microseconds)
        self.text = text
        symbols = Set(parser.trades.map(\.symbol))
        trades = parser.trades.count
    }
}

extension Decimal {
    /// A number of milliseconds from zero on as whole microseconds, cut off; nil when it is too large.
    fileprivate var microseconds: Int64? {
        let (scaled, overflow) = coefficient.multipliedReportingOverflow(by: 1000)
        guard !overflow, coefficient >= 0 else { return nil }
        return Int64(exactly: scaled / Decimal.powerOfTen(Int(scale)))
    }
}

/// Frames from a recording, from its start at the first subscription on.
///
/// Frames go out as they are. Those with trades are left out when none is of a subscribed symbol.
struct ReplayFeed: Feed {
    private let frames: [Replay.Frame]
    /// How many times faster than recorded; 0 is as fast as possible.
    private let speed: Double
    private var start: ContinuousClock.Instant?
    private var position = 0
    private var subscribed: Set<ShortText> = []

    init(_ replay: Replay, speed: Double) {
        frames = replay.frames
        self.speed = speed
    }

    mutating func subscribe(_ symbol: ShortText, at now: Moment) {
        subscribed.insert(symbol)
        if start == nil { start = now.instant }
    }

    mutating func unsubscribe(_ symbol: ShortText) {
        subscribed.remove(symbol)
    }

    func due(at now: Moment) -> Int {
        guard let start, position < frames.count else { return 0 }
        return speed == 0 || frames[position].offset <= (now.instant - start) * speed ? 1 : 0
    }

    mutating func writeFrame(_ frame: inout FrameWriter, at now: Moment, allowance: Int) -> Int? {
        while due(at: now) > 0 {
            let next = frames[position]
            guard next.trades <= allowance else { return nil }
            position += 1
            if next.symbols.isEmpty || !next.symbols.isDisjoint(with: subscribed) {
                frame.write(verbatim: next.text)
                return next.trades
            }
        }
        return nil
    }
}
