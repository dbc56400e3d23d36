import TestSupport
import Testing

@testable import TradeModel

/// The record that docs/formats.md shows.
private let documented =
    #"{"kind":"disconnected","at":"2026-08-28T15:35:36.100000Z","src":"producer","seq":1787931336000001,"#
    + #""cause":"wss://ws.finnhub.io:443: the server closed with code 1001","close_code":1001,"connected_ms":93211,"#
    + #""from":"2026-08-28T15:35:35.986000Z"}"#

private func read(_ json: [UInt8]) throws(RejectionReason) -> FeedEvent { try FeedEvent(json: json.span) }

private func read(_ json: String) throws(RejectionReason) -> FeedEvent { try read(Array(json.utf8)) }

private func write(_ event: FeedEvent) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(event)
    return writer.withBytes { Array($0) }
}

/// A record whose fields are JSON texts: a nil one is left out, others are added.
private func json(_ changes: [String: String?] = [:]) -> String {
    var fields: [String: String?] = [
        "kind": #""counters""#, "at": #""2026-08-28T13:35:36.1Z""#, "src": #""producer""#, "seq": "7", "frames": "3",
        "received": "5", "rejected": "1", "enqueued": "4", "acknowledged": "2", "details": #"{"AAPL":4}"#,
    ]
    fields.merge(changes) { $1 }
    return "{" + fields.compactMap { key, value in value.map { "\"\(key)\":\($0)" } }.joined(separator: ",") + "}"
}

@Suite struct FeedEventTests {
    @Test func `the documented record is written byte for byte`() throws {
        var event = FeedEvent(
            .disconnected, at: Timestamp(microseconds: 1_787_931_336_100_000),
            source: try #require(ShortText("producer")), sequence: 1_787_931_336_000_001)
        event.cause = "wss://ws.finnhub.io:443: the server closed with code 1001"
        event.closeCode = 1001
        event.connectedMilliseconds = 93_211
        event.gapFrom = Timestamp(microseconds: 1_787_931_335_986_000)
        #expect(String(decoding: write(event), as: UTF8.self) == documented)
        #expect(try read(documented) == event)
    }

    @Test func `random events read back as they were written, whatever stands around their fields`() throws {
        let seed: UInt64 = 21
        var random = SplitMix64(seed: seed)
        for run in 0..<5000 {
            let event = Self.event(&random)
            let written = write(event)
            guard try read(written) == event else {
                Issue.record("seed \(seed), run \(run): \(String(decoding: written, as: UTF8.self))")
                return
            }
            // Fields of a later version, of any type, at either end; white space; and a field given twice counts last.
            let later = #" { "later":{"a":[1,{"kind":7}],"b":null} , "at":"1999-01-01T00:00:00Z", "#
            let padded = Array(later.utf8) + written.dropFirst().dropLast() + Array(#","x":[true,"\u0000"] } "#.utf8)
            guard try read(padded) == event else {
                Issue.record("seed \(seed), run \(run): \(String(decoding: padded, as: UTF8.self))")
                return
            }
        }
    }

    @Test func `what is cut off anywhere is no JSON`() {
        let written = Array(documented.utf8)
        for end in 0..<written.count {
            #expect(throws: RejectionReason.malformedJSON) { try read(Array(written[..<end])) }
        }
    }

    @Test(arguments: [
        ("[]", RejectionReason.notAnObject), ("7", .notAnObject), ("{}", .missingField), (json() + "x", .malformedJSON),
        (json(["kind": nil]), .missingField), (json(["at": nil]), .missingField), (json(["src": nil]), .missingField),
        (json(["seq": nil]), .missingField), (json(["frames": nil]), .missingField),
        (json(["acknowledged": nil]), .missingField), (json(["kind": #""later""#]), .unknownKind),
        (json(["kind": "1"]), .wrongType), (json(["at": "1"]), .wrongType), (json(["at": #""noon""#]), .timeOutOfRange),
        (json(["from": #""1969-12-31T23:59:59Z""#]), .timeOutOfRange), (json(["to": "null"]), .wrongType),
        (json(["src": #""""#]), .badText), (json(["symbol": #""\u0000""#]), .badText),
        (json(["symbol": "\"\(String(repeating: "x", count: 48))\""]), .badText), (json(["seq": "1.5"]), .wrongType),
        (json(["seq": "-1"]), .numberOutOfRange), (json(["seq": "9223372036854775808"]), .numberOutOfRange),
        (json(["close_code": "2147483648"]), .numberOutOfRange), (json(["http_status": #""401""#]), .wrongType),
        (json(["connected_ms": "true"]), .wrongType), (json(["cause": #""a\u0000""#]), .badText),
        (json(["cause": "1"]), .wrongType), (json(["details": "[]"]), .wrongType),
        (json(["details": #"{"AAPL":"4"}"#]), .wrongType), (json(["details": #"{"":4}"#]), .badText),
        (json(["details": #"{"A":-1}"#]), .numberOutOfRange), (json(["received": "-1"]), .numberOutOfRange),
        (json(["later": "tru"]), .malformedJSON), (json(["kind": "1", "later": "tru"]), .malformedJSON),
    ])
    func `a bad record is rejected with its reason`(text: String, reason: RejectionReason) {
        #expect(throws: reason) { try read(text) }
    }

    @Test func `the record that the bad ones are made of is a good one`() throws {
        let event = try read(json())
        #expect(event.counts?.enqueued == 4)
        #expect(event.details == [try #require(ShortText("AAPL")): 4])
    }

    @Test func `no counts at all are none`() throws {
        let event = try read(#"{"seq":1,"src":"p","at":"2026-08-28T13:35:36Z","kind":"connected"}"#)
        #expect(event.counts == nil && event.details.isEmpty)
    }

    private static func event(_ random: inout SplitMix64) -> FeedEvent {
        var event = FeedEvent(
            random.pick(FeedEvent.Kind.allCases), at: time(&random), source: text(&random), sequence: number(&random))
        if random.oneIn(2) { event.symbol = text(&random) }
        if random.oneIn(2) {
            event.cause = random.pick(["", "\"\\/\n\u{1F}", "ü😀", String(repeating: "x", count: 600)])
        }
        if random.oneIn(2) { event.closeCode = Int32(random.below(1 << 31)) }
        if random.oneIn(2) { event.httpStatus = Int32(random.below(600)) }
        if random.oneIn(2) { event.connectedMilliseconds = number(&random) }
        if random.oneIn(2) { event.gapFrom = time(&random) }
        if random.oneIn(2) { event.gapTo = time(&random) }
        if random.oneIn(2) {
            var counts = FeedEvent.Counts()
            counts.frames = number(&random)
            counts.received = number(&random)
            counts.rejected = number(&random)
            counts.enqueued = number(&random)
            counts.acknowledged = number(&random)
            event.counts = counts
        }
        for _ in 0..<random.below(5) { event.details[text(&random)] = number(&random) }
        return event
    }

    private static func time(_ random: inout SplitMix64) -> Timestamp {
        Timestamp(microseconds: Int64(random.below(253_402_300_800_000_000)))
    }

    private static func number(_ random: inout SplitMix64) -> Int64 {
        Int64(truncatingIfNeeded: random.next() >> UInt64(1 + random.below(63)))
    }

    private static func text(_ random: inout SplitMix64) -> ShortText {
        let pieces = ["A", "BINANCE:BTCUSDT", "IC MARKETS:1", "\"\\", "é", "😀", "/"]
        return ShortText((0...random.below(2)).map { _ in random.pick(pieces) }.joined())!
    }
}
