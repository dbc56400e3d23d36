import Foundation
import TestSupport
import Testing

@testable import TradeModel

/// The parser beside Foundation's `JSONSerialization`, which shares nothing with it.
@Suite struct FeedParserComparisonTests {
    @Test func `100,000 random frames are read as Foundation reads them, and with all digits`() throws {
        let seed: UInt64 = 10
        var random = SplitMix64(seed: seed)
        var parser = FeedParser()
        var trades = 0
        for run in 0..<100_000 {
            let frame = RandomFrame(mostItems: 3, using: &random)
            let message = parser.parse(frame.bytes.span)
            if let difference = try Self.difference(frame, message, parser) {
                Issue.record(
                    "seed \(seed), run \(run): \(difference) in \(String(decoding: frame.bytes, as: UTF8.self))")
                return
            }
            trades += parser.trades.count
        }
        #expect(trades > 100_000)
    }

    @Test func `a frame with a byte changed is refused exactly when Foundation refuses it`() {
        let seed: UInt64 = 11
        var random = SplitMix64(seed: seed)
        let alphabet = Array("{}[]\",:\\/0123456789.-+eEuntf \t\n".utf8)
        var frame: [UInt8] = []
        var (accepted, refused) = (0, 0)
        for run in 0..<100_000 {
            if run % 4 == 0 { frame = RandomFrame(mostItems: 2, using: &random).bytes }
            var bytes = frame
            let index = random.below(bytes.count)
            bytes[index] = random.oneIn(3) ? UInt8(random.below(256)) : random.pick(alphabet)
            let isAccepted = Self.parserAccepts(bytes)
            if isAccepted == Self.foundationAccepts(bytes) {
                if isAccepted { accepted += 1 } else { refused += 1 }
                continue
            }
            let repaired = FrameRepair.repaired(bytes)
            guard repaired == bytes || Self.parserAccepts(repaired) != Self.foundationAccepts(repaired) else {
                continue
            }
            let text = String(decoding: bytes, as: UTF8.self)
            Issue.record("seed \(seed), run \(run): \(isAccepted ? "accepted" : "refused"), byte \(index) of \(text)")
            return
        }
        #expect(accepted > 10_000 && refused > 10_000)
    }

    private static func parserAccepts(_ frame: [UInt8]) -> Bool {
        if case .malformed = parse(frame).message { false } else { true }
    }

    private static func foundationAccepts(_ frame: [UInt8]) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(frame))) != nil
    }

    /// What the parser found otherwise than Foundation or the generator; nil when all agree.
    private static func difference(
        _ frame: RandomFrame, _ message: FeedParser.Message, _ parser: FeedParser
    ) throws -> String? {
        let json = try JSONSerialization.jsonObject(with: Data(frame.bytes)) as? [String: Any] ?? [:]
        let type = json["type"] as? String
        guard type == "trade" else {
            let expected: FeedParser.Message = type == "ping" ? .ping : .other(type: type ?? "")
            return message == expected && parser.trades.isEmpty && parser.rejections.isEmpty ? nil : "\(message)"
        }
        let items = json["data"] as? [[String: Any]] ?? []
        guard message == .trades, parser.rejections.isEmpty, parser.trades.count == items.count,
            items.count == frame.items.count
        else { return "\(message), \(parser.trades.count) trades, \(parser.rejections)" }
        for (index, trade) in parser.trades.enumerated() {
            let (item, meant) = (items[index], frame.items[index])
            guard let symbol = item["s"] as? String, trade.symbol.description.utf8.elementsEqual(symbol.utf8),
                symbol.utf8.elementsEqual(meant.symbol.utf8)
            else { return "symbol \(trade.symbol)" }
            guard (item["t"] as? NSNumber)?.int64Value == trade.time.milliseconds else { return "time \(trade.time)" }
            guard agree(trade.price, item["p"], meant.price) else { return "price \(trade.price)" }
            guard agree(trade.volume, item["v"], meant.volume) else { return "volume \(trade.volume)" }
            let conditions = frame.bytes.withUnsafeBytes { Data(trade.conditions.bytes(in: $0)) }
            let read = conditions.isEmpty ? nil : try JSONSerialization.jsonObject(with: conditions) as? [String]
            guard read == item["c"] as? [String], read == meant.conditions else { return "conditions \(read ?? [])" }
        }
        return nil
    }

    /// Foundation's number is as near as a `Double` comes, and the digits are the generator's.
    private static func agree(_ number: TradeModel.Decimal, _ value: Any?, _ meant: RandomNumber) -> Bool {
        guard let foundation = (value as? NSNumber)?.doubleValue, let double = Double(number.description) else {
            return false
        }
        // Above 17 digits Foundation goes by its own decimal type, whose `Double` may be a few units off.
        let tolerance = meant.text.count > 17 ? abs(double) * 1e-14 : 0
        return abs(foundation - double) <= tolerance && number.description == meant.plain
    }
}
