import TestSupport
import Testing

@testable import TradeModel

/// Whatever comes in, the readers answer, and what they accept keeps its rules.
@Suite struct RobustnessTests {
    private static let seeds: [[UInt8]] = [
        #"{"data":[{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1721555886208,"v":0.01559}],"type":"trade"}"#,
        #"{"type":"trade","data":[{"t":1787924136086,"p":317.775e-3,"v":200,"c":["1","\u00e9"],"s":"A\ud83d\ude00"}]}"#,
        #"{"msg":"Invalid symbol FX:EURUSD","type":"error"}"#, #"{"type":"ping"}"#,
        #"{"s":"AAPL","p":1.5,"t":1,"v":0,"c":["1"],"to_kafka":"2024-07-21T09:38:06.254321+02:00","src":"é","seq":7,"repeat":0}"#,
    ].map { Array($0.utf8) }
    private static let tokens: [[UInt8]] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00", "\\ud83d", "\"s\":", "\"p\":", "\"data\":[",
        "\"type\":\"trade\"", "\"c\":[", "\"to_kafka\":\"",
        "1", "0", "-", ".", "e", "1e999999999", "99999999999999999999", "null", "tru", " ", "\u{0}", "é", "😀",
    ].map { Array($0.utf8) }

    @Test func `200,000 random and damaged messages do not harm the readers`() {
        let seed: UInt64 = 13
        var random = SplitMix64(seed: seed)
        var parser = FeedParser()
        var accepted = 0
        for run in 0..<200_000 {
            let message = Self.message(run, &random)
            let kind = parser.parse(message.span)
            guard Self.isSound(kind, parser, message) else {
                Issue.record("seed \(seed), run \(run): \(kind), \(parser.trades), \(parser.rejections) of \(message)")
                return
            }
            accepted += parser.trades.count
            guard let record = try? TradeRecord(json: message.span) else { continue }
            guard Self.isSound(record.trade, message), record.sequence >= 0, record.repeats >= 0,
                record.source.count > 0
            else {
                Issue.record("seed \(seed), run \(run): \(record) of \(message)")
                return
            }
            accepted += 1
        }
        #expect(accepted > 1000)
    }

    private static func message(_ run: Int, _ random: inout SplitMix64) -> [UInt8] {
        switch run % 4 {
        case 0: return (0..<random.below(24)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 1: return (0..<random.below(16)).flatMap { _ in random.pick(tokens) }
        default:
            var bytes = random.pick(seeds)
            for _ in 0...random.below(3) { damage(&bytes, &random) }
            return bytes
        }
    }

    /// Changes, removes, repeats or inserts something at a random place.
    private static func damage(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        let start = random.below(bytes.count + 1)
        let end = min(bytes.count, start + random.below(6))
        switch random.below(5) {
        case 0: bytes.removeSubrange(start..<end)
        case 1: bytes.insert(contentsOf: Array(bytes[start..<end]), at: start)
        case 2: bytes.insert(contentsOf: random.pick(tokens), at: start)
        case 3: bytes.removeSubrange(start...)
        default: if start < bytes.count { bytes[start] = UInt8(truncatingIfNeeded: random.next()) }
        }
    }

    private static func isSound(_ kind: FeedParser.Message, _ parser: FeedParser, _ message: [UInt8]) -> Bool {
        let whole = 0...message.count
        switch kind {
        case .trades: break
        case .malformed(let position):
            guard whole.contains(position), parser.rejections.last?.reason == .malformedJSON else { return false }
        default: guard parser.trades.isEmpty, parser.rejections.isEmpty else { return false }
        }
        return parser.trades.allSatisfy { isSound($0, message) }
            && parser.rejections.allSatisfy {
                whole.contains($0.bytes.start) && whole.contains($0.bytes.start + $0.bytes.count)
            }
    }

    private static func isSound(_ trade: Trade, _ message: [UInt8]) -> Bool {
        let conditions = message.withUnsafeBytes { Array(trade.conditions.bytes(in: $0)) }
        return trade.price > .zero && trade.volume >= .zero && trade.symbol.count > 0
            && Timestamp.representableMilliseconds ~= trade.time.milliseconds
            && trade.symbol.withBytes { String(validating: $0, as: UTF8.self) != nil }
            && (conditions.isEmpty || (conditions.first == UInt8(ascii: "[") && conditions.last == UInt8(ascii: "]")))
    }
}
