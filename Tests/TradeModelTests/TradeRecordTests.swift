import TestSupport
import Testing

@testable import TradeModel

/// The record that docs/formats.md shows.
private let documented =
    #"{"s":"BINANCE:BTCUSDT","p":66972.77,"t":1721555886208,"v":0.01559,"c":null,"to_kafka":"2024-07-21T09:58:06.254321Z","#
    + #""src":"producer","seq":1721555886254321,"repeat":0}"#

private func read(_ json: [UInt8]) throws(RejectionReason) -> TradeRecord {
    try TradeRecord(json: json.span)
}

private func read(_ json: String) throws(RejectionReason) -> TradeRecord {
    try read(Array(json.utf8))
}

private func write(_ record: TradeRecord, conditionsFrom message: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    message.withUnsafeBytes { writer.write(record, conditionsFrom: $0) }
    return writer.withBytes { Array($0) }
}

/// A record whose fields are JSON texts: a nil one is left out.
private func json(_ changes: [String: String?]) -> String {
    let fields: [(String, String?)] = [
        ("s", #""AAPL""#), ("p", "317.775"), ("t", "1787924136086"), ("v", "200"), ("c", #"["1","8"]"#),
        ("to_kafka", #""2026-08-28T13:35:36.100000Z""#), ("src", #""producer""#), ("seq", "7"), ("repeat", "1"),
    ]
    let texts = fields.compactMap { key, value in (changes[key] ?? value).map { "\"\(key)\":\($0)" } }
    return "{" + texts.joined(separator: ",") + "}"
}

@Suite struct TradeRecordTests {
    @Test func `the documented record is written byte for byte`() throws {
        let trade = Trade(
            symbol: try #require(ShortText("BINANCE:BTCUSDT")), price: Decimal(coefficient: 6_697_277, scale: 2),
            volume: Decimal(coefficient: 1559, scale: 5), time: Timestamp(milliseconds: 1_721_555_886_208),
            conditions: .empty)
        let record = TradeRecord(
            trade: trade, toKafka: Timestamp(microseconds: 1_721_555_886_254_321),
            source: try #require(ShortText("producer")),
            sequence: 1_721_555_886_254_321, repeats: 0)
        #expect(String(decoding: write(record, conditionsFrom: []), as: UTF8.self) == documented)
        #expect(try read(documented) == record)
    }

    @Test func `conditions are copied as they stand in the frame, and read back in place`() throws {
        let frame = #"{"type":"trade","data":[{"t":1,"p":2.50,"v":3,"c":["1", "\u00e98" ],"s":"A\"\\/é"}]}"#
        let trade = try #require(parse(frame).trades.first)
        let record = TradeRecord(
            trade: trade, toKafka: Timestamp(microseconds: 0), source: try #require(ShortText("p\"1")), sequence: 0,
            repeats: 2)
        let written = write(record, conditionsFrom: Array(frame.utf8))
        let text = String(decoding: written, as: UTF8.self)
        #expect(
            text
                == #"{"s":"A\"\\/é","p":2.50,"t":1,"v":3,"c":["1", "\u00e98" ],"to_kafka":"1970-01-01T00:00:00.000000Z","#
                + #""src":"p\"1","seq":0,"repeat":2}"#)
        #expect(write(try read(written), conditionsFrom: written) == written)
    }

    @Test func `random records read back as they were written`() throws {
        let seed: UInt64 = 12
        var random = SplitMix64(seed: seed)
        for run in 0..<10_000 {
            let frame = RandomFrame(mostItems: 1, using: &random)
            guard let trade = parse(frame.bytes).trades.first, let item = frame.items.first else { continue }
            let source = try #require(ShortText(String(item.symbol.reversed())))
            let record = TradeRecord(
                trade: trade, toKafka: Timestamp(microseconds: Int64(random.below(253_402_300_800_000_000))),
                source: source,
                sequence: Int64(truncatingIfNeeded: random.next() >> UInt64(1 + random.below(63))),
                repeats: Int32(truncatingIfNeeded: random.next() >> UInt64(33 + random.below(31))))
            let written = write(record, conditionsFrom: frame.bytes)
            let back = try read(written)
            let conditions = written.withUnsafeBytes {
                Array(trade.conditions.isEmpty ? $0[0..<0] : back.trade.conditions.bytes(in: $0)[...])
            }
            var expected = record
            expected.trade.conditions = back.trade.conditions
            let inFrame = frame.bytes.withUnsafeBytes { Array(trade.conditions.bytes(in: $0)) }
            guard back == expected, conditions == inFrame, write(back, conditionsFrom: written) == written else {
                Issue.record("seed \(seed), run \(run): \(String(decoding: written, as: UTF8.self))")
                return
            }
        }
    }

    @Test(arguments: ["s", "p", "t", "v", "to_kafka", "src", "seq"])
    func `a record without a field that it needs is refused`(field: String) {
        #expect(throws: RejectionReason.missingField) { try read(json([field: nil])) }
    }

    @Test func `conditions and repeats may be left out`() throws {
        let record = try read(json(["c": nil, "repeat": nil]))
        #expect(record.trade.conditions.isEmpty)
        #expect(record.repeats == 0)
        #expect(try read(json(["c": "null"])).trade.conditions.isEmpty)
    }

    @Test func `fields that are not known are ignored`() throws {
        let plain = try read(documented)
        let more = #"{"version":2,"x":{"s":[1,"no"]},"#
        var record = try read(more + documented.dropFirst())
        record.trade.conditions = plain.trade.conditions
        #expect(record == plain)
        #expect(try read(documented.dropLast() + #","":[],"pp":-1e-5}"#) == plain)
    }

    @Test func `the order of the fields and white space do not matter`() throws {
        let other =
            "\n{ \"repeat\" : 0 , \"seq\":1721555886254321,\"src\":\"producer\",\"to_kafka\":\"2024-07-21T09:58:06.254321Z\",\"v\":0.01559,"
            + "\t\"t\":1721555886208, \"p\":66972.77,\r\n\"s\":\"BINANCE:BTCUSDT\" } "
        #expect(try read(other) == read(documented))
    }

    @Test(
        arguments: [
            ("2024-07-21T09:58:06.254321Z", 1_721_555_886_254_321),
            ("2024-07-21T11:58:06.254321+02:00", 1_721_555_886_254_321),
            ("2024-07-21T04:28:06.254321-05:30", 1_721_555_886_254_321),
            ("2024-07-21T09:58:06.254321+00:00", 1_721_555_886_254_321),
            ("2024-07-21T09:58:06Z", 1_721_555_886_000_000), ("2024-07-21T09:58:06.2Z", 1_721_555_886_200_000),
            ("2024-07-21T09:58:06.254Z", 1_721_555_886_254_000),
            ("2024-07-21T09:58:06.254321987Z", 1_721_555_886_254_321),
            ("2024-07-21T09:58:06.254+02:00", 1_721_548_686_254_000),
            ("2024-07-21t09:58:06.254321z", 1_721_555_886_254_321),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000_000), ("2000-02-29T23:59:59.999999Z", 951_868_799_999_999),
            ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:00:00-01:00", 0),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
            ("2024-12-31T23:59:59-23:59", 1_735_775_939_000_000),
        ] as [(String, Int64)])
    func `every form of RFC 3339 is understood as the time to Kafka`(text: String, microseconds: Int64) throws {
        #expect(try read(json(["to_kafka": "\"\(text)\""])).toKafka.microseconds == microseconds)
    }

    @Test(
        arguments: [
            "", "2024-07-21", "2024-07-21T09:58:06", "2024-07-21 09:58:06Z", "2024-07-21T09:58Z",
            "2024-07-21T09:58:06.Z",
            "2024-07-21T09:58:06,5Z", "2024-07-21T09:58:06ZZ", "2024-07-21T09:58:06+02", "2024-07-21T09:58:06+0200",
            "2024-07-21T09:58:06+02:0", "2024-07-21T09:58:06+24:00", "2024-07-21T09:58:06+00:60",
            "2024-07-21T09:58:06*02:00",
            "2024-07-21T09:58:06.254321", "2024-00-21T09:58:06Z", "2024-13-21T09:58:06Z", "2024-07-00T09:58:06Z",
            "2024-07-32T09:58:06Z", "2024-06-31T09:58:06Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2024-07-21T24:00:00Z", "2024-07-21T09:60:06Z", "2024-07-21T09:58:60Z", "+024-07-21T09:58:06Z",
            "24-07-21T09:58:06.00Z",
            "2024/07/21T09:58:06Z", "2024-07-21T09.58.06Z", "now", "1721555886208", "２024-07-21T09:58:06Z",
            "20240-07-21T09:58:06Z",
            "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00Z",
        ])
    func `what is no moment from 1970 to 9999 is refused as the time to Kafka`(text: String) {
        #expect(throws: RejectionReason.timeOutOfRange) { try read(json(["to_kafka": "\"\(text)\""])) }
    }

    @Test(
        arguments: [
            ("s", "7", .wrongType), ("s", #""""#, .badText), ("src", "null", .wrongType), ("src", #""""#, .badText),
            ("src", #""\u0000""#, .badText), ("p", "0", .priceNotPositive), ("p", #""1""#, .wrongType),
            ("v", "-1", .volumeNegative),
            ("v", "1e39", .numberOutOfRange), ("t", "-1", .timeOutOfRange), ("t", "1.5", .wrongType),
            ("c", "[1]", .wrongType),
            ("c", #""1""#, .wrongType), ("to_kafka", "1721555886208", .wrongType), ("to_kafka", "null", .wrongType),
            ("seq", "-1", .numberOutOfRange), ("seq", "9223372036854775808", .numberOutOfRange),
            ("seq", "1.0", .wrongType),
            ("seq", #""7""#, .wrongType), ("repeat", "-1", .numberOutOfRange),
            ("repeat", "2147483648", .numberOutOfRange),
            ("repeat", "null", .wrongType),
        ] as [(String, String, RejectionReason)])
    func `a field that is wrong is refused with its reason`(field: String, value: String, reason: RejectionReason) {
        #expect(throws: reason) { try read(json([field: value])) }
    }

    @Test func `the largest sequence and repeat are accepted`() throws {
        let record = try read(json(["seq": "9223372036854775807", "repeat": "2147483647"]))
        #expect(record.sequence == .max)
        #expect(record.repeats == .max)
    }

    /// White space in front is nothing that the program writes, so the general way reads what follows it.
    @Test(arguments: [
        documented, json([:]), json(["t": "0", "seq": "0", "to_kafka": #""1970-01-01T00:00:00.000000Z""#]),
    ])
    func `the way for what is written here and the way for all else agree, whichever byte is changed`(
        whole: String
    ) throws {
        func outcome(_ bytes: [UInt8], behind space: Int) -> Result<TradeRecord, RejectionReason> {
            Result { () throws(RejectionReason) in
                var record = try read(Array(repeating: 0x20, count: space) + bytes)
                if !record.trade.conditions.isEmpty { record.trade.conditions.start -= space }
                return record
            }
        }
        let bytes = Array(whole.utf8)
        var accepted = 0
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = bytes
                changed[index] = byte
                let fast = outcome(changed, behind: 0)
                guard fast != outcome(changed, behind: 1) else {
                    if case .success = fast { accepted += 1 }
                    continue
                }
                Issue.record("\(String(decoding: changed, as: UTF8.self)) is read in two ways: \(fast)")
            }
        }
        // Each byte as it is, and each digit of every number at least.
        #expect(accepted > bytes.count + 9 * 20)
    }

    @Test(arguments: ["[]", "5", "null", #""x""#, "true", " [1,{}] "])
    func `JSON that is no object is refused`(value: String) {
        #expect(throws: RejectionReason.notAnObject) { try read(value) }
    }

    @Test func `a record cut at any byte is no JSON`() throws {
        for whole in [documented, json([:]), json(["p": "0"]), json(["s": "7"]), json(["c": "[1]"])] {
            let bytes = Array(whole.utf8)
            for length in 0..<bytes.count {
                #expect(throws: RejectionReason.malformedJSON) { try read(Array(bytes[..<length])) }
            }
        }
    }

    @Test(arguments: [
        "{}x", "{} {}", "{,}", #"{"s":"A",}"#, #"{"s":7} x"#, "[1,]", "nul", #"{"s":"\#u{1}"}"#, #"{"p":+1}"#,
    ])
    func `what is no JSON is called so, whatever else is wrong with it`(text: String) {
        #expect(throws: RejectionReason.malformedJSON) { try read(text) }
    }
}
