import Testing

@testable import TradeModel

/// What the parser says about a frame.
func parse(_ frame: [UInt8]) -> (message: FeedParser.Message, trades: [Trade], rejections: [FeedParser.Rejection]) {
    var parser = FeedParser()
    let message = parser.parse(frame.span)
    return (message, parser.trades, parser.rejections)
}

func parse(_ frame: String) -> (message: FeedParser.Message, trades: [Trade], rejections: [FeedParser.Rejection]) {
    parse(Array(frame.utf8))
}

/// The text of a range of a frame.
func text(_ range: ByteRange, of frame: String) -> String {
    String(decoding: Array(frame.utf8)[range.start..<range.start + range.count], as: UTF8.self)
}

private let bitcoin = #"{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1721555886208,"v":0.01559}"#
private let apple = #"{"t":1787924136086,"p":317.775,"v":200,"c":["1","8"],"s":"AAPL"}"#

private func frame(_ items: String...) -> String {
    #"{"data":["# + items.joined(separator: ",") + #"],"type":"trade"}"#
}

@Suite struct FeedParserTests {
    @Test func `both orders of keys give the same trade`() throws {
        let older =
            #"{"data":[{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1721555886208,"v":0.01559}],"type":"trade"}"#
        let newer =
            #"{"type":"trade","data":[{"t":1721555886208,"p":66972.77,"v":0.01559,"c":null,"s":"BINANCE:BTCUSDT"}]}"#
        for frame in [older, newer] {
            let (message, trades, rejections) = parse(frame)
            #expect(message == .trades)
            #expect(rejections.isEmpty)
            let trade = try #require(trades.first)
            #expect(trades.count == 1)
            #expect(trade.symbol.description == "BINANCE:BTCUSDT")
            #expect(trade.price == Decimal(coefficient: 6_697_277, scale: 2))
            #expect(trade.volume == Decimal(coefficient: 1559, scale: 5))
            #expect(trade.time.milliseconds == 1_721_555_886_208)
            #expect(trade.conditions.isEmpty)
        }
    }

    @Test(
        arguments: [
            (#""c":null,"#, ""), ("", ""), (#""c":[],"#, "[]"), (#""c":["1"],"#, #"["1"]"#),
            (#""c":["1","8","12"],"#, #"["1","8","12"]"#), (#""c": [ "1" , "\u00e9\n" ] ,"#, #"[ "1" , "\u00e9\n" ]"#),
        ])
    func `conditions are kept as they stand in the frame`(field: String, conditions: String) throws {
        let frame = frame(#"{"# + field + #""p":1,"s":"A","t":0,"v":0}"#)
        let (message, trades, _) = parse(frame)
        #expect(message == .trades)
        #expect(text(try #require(trades.first).conditions, of: frame) == conditions)
    }

    @Test func `a frame may hold several symbols, whose order is kept`() {
        let (message, trades, rejections) = parse(frame(bitcoin, apple, bitcoin))
        #expect(message == .trades)
        #expect(trades.map(\.symbol.description) == ["BINANCE:BTCUSDT", "AAPL", "BINANCE:BTCUSDT"])
        #expect(rejections.isEmpty)
    }

    @Test(arguments: ["AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD", "IC MARKETS:1"])
    func `every form of symbol is taken as it is`(symbol: String) {
        #expect(parse(frame(#"{"p":1,"s":"\#(symbol)","t":0,"v":0}"#)).trades.first?.symbol.description == symbol)
    }

    @Test func `a volume of zero is a trade`() {
        #expect(parse(frame(#"{"p":1.06618,"s":"OANDA:EUR_USD","t":1,"v":0}"#)).trades.first?.volume == .zero)
    }

    @Test func `pings, errors and unknown types are told apart`() {
        #expect(parse(#"{"type":"ping"}"#).message == .ping)
        #expect(
            parse(#"{"msg":"Subscribing to too many symbols","type":"error"}"#).message
                == .error(message: "Subscribing to too many symbols"))
        #expect(
            parse(#"{"type":"error","msg":"Invalid symbol FX:EURUSD"}"#).message
                == .error(message: "Invalid symbol FX:EURUSD"))
        #expect(parse(#"{"type":"error"}"#).message == .error(message: ""))
        #expect(parse(#"{"type":"error","msg":7}"#).message == .error(message: ""))
        #expect(parse(#"{"type":"news","data":[{"headline":"x","id":1}]}"#).message == .other(type: "news"))
        #expect(parse(#"{"type":"pr","data":[]}"#).message == .other(type: "pr"))
        #expect(parse("{}").message == .other(type: ""))
        #expect(parse(#"{"type":null}"#).message == .other(type: ""))
        #expect(parse(#"{"type":"Trade","data":[]}"#).message == .other(type: "Trade"))
    }

    @Test(arguments: [#","data":null"#, #","data":[]"#, "", #","data":{}"#, #","data":7"#, #","data":"x""#])
    func `a trade frame without items has no trades`(data: String) {
        let (message, trades, rejections) = parse(#"{"type":"trade"\#(data)}"#)
        #expect(message == .trades)
        #expect(trades.isEmpty && rejections.isEmpty)
    }

    @Test(arguments: [#""type":"news""#, #""type":"ping""#, #""type":"error""#, #""type":7"#, #""other":1"#])
    func `items of another type are no trades, however much they look like some`(type: String) {
        for frame in ["{\(type),\"data\":[\(apple),5]}", "{\"data\":[\(apple),5],\(type)}"] {
            let (message, trades, rejections) = parse(frame)
            #expect(message != .trades)
            #expect(trades.isEmpty && rejections.isEmpty)
        }
    }

    @Test func `nothing is left of the frame before`() {
        var parser = FeedParser()
        let good = Array(frame(apple, "5").utf8)
        let ping = Array(#"{"type":"ping"}"#.utf8)
        let broken = Array("{".utf8)
        #expect(parser.parse(good.span) == .trades)
        #expect(parser.trades.count == 1 && parser.rejections.count == 1)
        #expect(parser.parse(ping.span) == .ping)
        #expect(parser.trades.isEmpty && parser.rejections.isEmpty)
        #expect(parser.parse(good.span) == .trades)
        #expect(parser.parse(broken.span) == .malformed(at: 1))
        #expect(parser.trades.isEmpty && parser.rejections.count == 1)
    }

    @Test(
        arguments: [
            ("5", .notAnObject), ("null", .notAnObject), (#""trade""#, .notAnObject), ("[1,[2]]", .notAnObject),
            ("true", .notAnObject),
            ("{}", .missingField), (#"{"s":"A","t":1,"v":1}"#, .missingField), (#"{"p":1,"t":1,"v":1}"#, .missingField),
            (#"{"p":1,"s":"A","v":1}"#, .missingField), (#"{"p":1,"s":"A","t":1}"#, .missingField),
            (#"{"p":"1","s":"A","t":1,"v":1}"#, .wrongType), (#"{"p":null,"s":"A","t":1,"v":1}"#, .wrongType),
            (#"{"p":1,"s":7,"t":1,"v":1}"#, .wrongType), (#"{"p":1,"s":null,"t":1,"v":1}"#, .wrongType),
            (#"{"p":1,"s":"A","t":"1","v":1}"#, .wrongType), (#"{"p":1,"s":"A","t":1.5,"v":1}"#, .wrongType),
            (#"{"p":1,"s":"A","t":1.0,"v":1}"#, .wrongType), (#"{"p":1,"s":"A","t":1,"v":[1]}"#, .wrongType),
            (#"{"p":1,"s":"A","t":1,"v":1,"c":"1"}"#, .wrongType),
            (#"{"p":1,"s":"A","t":1,"v":1,"c":[1]}"#, .wrongType),
            (#"{"p":1,"s":"A","t":1,"v":1,"c":{"a":[]}}"#, .wrongType),
            (#"{"p":123456789012345678901234567890123456789,"s":"A","t":1,"v":1}"#, .numberOutOfRange),
            (#"{"p":1,"s":"A","t":1,"v":1e-39}"#, .numberOutOfRange),
            (#"{"p":1e99,"s":"A","t":1,"v":1}"#, .numberOutOfRange),
            (#"{"p":0,"s":"A","t":1,"v":1}"#, .priceNotPositive),
            (#"{"p":-0.0,"s":"A","t":1,"v":1}"#, .priceNotPositive),
            (#"{"p":-3.5,"s":"A","t":1,"v":1}"#, .priceNotPositive),
            (#"{"p":1,"s":"A","t":1,"v":-0.1}"#, .volumeNegative),
            (#"{"p":1,"s":"A","t":-1,"v":1}"#, .timeOutOfRange),
            (#"{"p":1,"s":"A","t":253402300800000,"v":1}"#, .timeOutOfRange),
            (#"{"p":1,"s":"A","t":1e30,"v":1}"#, .timeOutOfRange), (#"{"p":1,"s":"","t":1,"v":1}"#, .badText),
            (#"{"p":1,"s":"A\u0000","t":1,"v":1}"#, .badText), (#"{"p":1,"s":"A\nB","t":1,"v":1}"#, .badText),
            (#"{"p":1,"s":"\ud83d","t":1,"v":1}"#, .badText), (#"{"p":1,"s":"\ude00\ud83d","t":1,"v":1}"#, .badText),
            (#"{"p":1,"s":"123456789012345678901234567890123456789012345678","t":1,"v":1}"#, .badText),
        ] as [(String, RejectionReason)])
    func `a bad item is refused with its reason, and its neighbours are kept`(item: String, reason: RejectionReason)
        throws
    {
        let frame = frame(bitcoin, item, apple)
        let (message, trades, rejections) = parse(frame)
        #expect(message == .trades)
        #expect(trades.map(\.symbol.description) == ["BINANCE:BTCUSDT", "AAPL"])
        #expect(rejections.map(\.reason) == [reason])
        #expect(text(try #require(rejections.first).bytes, of: frame) == item)
    }

    @Test func `several bad items are refused each with its own bytes, without the space around them`() {
        let frame = "{\"type\":\"trade\",\"data\":[ 5 , \(apple) ,\t{\"p\" : 0 } ,\n[ ] ]}"
        let (message, trades, rejections) = parse(frame)
        #expect(message == .trades)
        #expect(trades.count == 1)
        #expect(rejections.map { text($0.bytes, of: frame) } == ["5", "{\"p\" : 0 }", "[ ]"])
        #expect(rejections.map(\.reason) == [.notAnObject, .priceNotPositive, .notAnObject])
    }

    @Test func `the ends of what is accepted are accepted`() {
        let name = String(repeating: "x", count: 47)
        let (_, trades, rejections) = parse(
            frame(
                #"{"p":1e-38,"s":"\#(name)","t":253402300799999,"v":99999999999999999999999999999999999999}"#,
                #"{"p":99999999999999999999999999999999999999,"s":"A","t":0,"v":-0}"#, #"{"p":1,"s":"A","t":1e3,"v":0}"#
            ))
        #expect(rejections.isEmpty)
        #expect(trades.map(\.symbol.description) == [name, "A", "A"])
        #expect(trades.map(\.time.milliseconds) == [253_402_300_799_999, 0, 1000])
    }

    @Test func `a frame cut at any byte yields the trades that came whole, and says where it ends`() {
        for whole in [
            frame(bitcoin, apple, bitcoin), "{\"type\":\"trade\",\"data\":[\(apple),\(bitcoin),\(apple)]}",
            "{ \"data\" : [ \(bitcoin) , \(apple) , \(bitcoin) ] , \"type\" : \"trade\" }",
        ] {
            let bytes = Array(whole.utf8)
            let expected = parse(bytes).trades
            #expect(expected.count == 3)
            // Where the items end: every closing brace but the envelope's.
            let ends = bytes.indices.filter { bytes[$0] == UInt8(ascii: "}") }.dropLast()
            for length in 0..<bytes.count {
                let (message, trades, rejections) = parse(Array(bytes[..<length]))
                // At the end, or at the start of the `null` that breaks off there.
                guard case .malformed(let position) = message, (max(0, length - 3)...length).contains(position) else {
                    Issue.record("\(message) at length \(length)")
                    return
                }
                #expect(trades == Array(expected.prefix(ends.count { $0 < length })))
                #expect(rejections.map(\.reason) == [.malformedJSON])
                #expect(rejections.last.map { $0.bytes.start + $0.bytes.count } == length)
            }
        }
    }

    @Test func `an item that breaks off is refused from its first byte to the end of the frame`() throws {
        let frame = #"{"type":"trade","data":["# + apple + #","# + #"{"p":1,"s":"A","t"1}, "# + bitcoin + "]}"
        let (message, trades, rejections) = parse(frame)
        #expect(message == .malformed(at: frame.utf8.count - bitcoin.utf8.count - 6))
        #expect(trades.count == 1)
        #expect(text(try #require(rejections.first).bytes, of: frame) == #"{"p":1,"s":"A","t"1}, "# + bitcoin + "]}")
    }

    @Test func `a broken frame of another type has no trades`() {
        let (message, trades, rejections) = parse(#"{"type":"news","data":["# + apple + "}")
        #expect(message == .malformed(at: 23 + apple.utf8.count))
        #expect(trades.isEmpty)
        #expect(rejections.map(\.reason) == [.malformedJSON])
    }

    @Test func `white space is allowed wherever JSON allows it`() {
        let space = " \t\r\n"
        let tokens = [
            "{", "\"type\"", ":", "\"trade\"", ",", "\"extra\"", ":", "[", "{", "}", ",", "[", "]", ",", "null", "]",
            ",", "\"data\"",
            ":", "[", "{", "\"s\"", ":", "\"A\"", ",", "\"p\"", ":", "1.5", ",", "\"t\"", ":", "7", ",", "\"v\"", ":",
            "0", ",", "\"c\"",
            ":", "[", "\"1\"", ",", "\"2\"", "]", "}", ",", "{", "}", "]", "}",
        ]
        let (message, trades, rejections) = parse(space + tokens.joined(separator: space) + space)
        #expect(message == .trades)
        #expect(trades.count == 1)
        #expect(rejections.map(\.reason) == [.missingField])
        #expect(parse("\u{0B}{}").message == .malformed(at: 0))
        #expect(parse("{}\u{0C}").message == .malformed(at: 2))
        #expect(parse("{}\0").message == .malformed(at: 2))
    }

    @Test(
        arguments: [
            (#"A\"B"#, "A\"B"), (#"A\\B"#, "A\\B"), (#"A\/B"#, "A/B"), (#"\u0041\u00e9\u20AC"#, "Aé€"),
            (#"\ud83d\ude00"#, "😀"),
            (#"\uD83D\uDE00!"#, "😀!"), (#"\udbff\udfff"#, "\u{10FFFF}"), (#"\ud800\udc00"#, "\u{10000}"),
            ("é€😀", "é€😀"),
            (#"é\u00e9é"#, "ééé"), (#"\u007f"#, "\u{7F}"), (#"\uffff"#, "\u{FFFF}"),
        ])
    func `escapes in a symbol are resolved`(escaped: String, symbol: String) {
        let trades = parse(frame(#"{"p":1,"s":"\#(escaped)","t":0,"v":0}"#)).trades
        #expect(trades.first.map { Array($0.symbol.description.utf8) } == Array(symbol.utf8))
    }

    @Test func `a symbol is measured after its escapes are resolved`() {
        let long = String(repeating: #"\u0041"#, count: 47)
        #expect(parse(frame(#"{"p":1,"s":"\#(long)","t":0,"v":0}"#)).trades.first?.symbol.count == 47)
        #expect(parse(frame(#"{"p":1,"s":"\#(long)A","t":0,"v":0}"#)).rejections.map(\.reason) == [.badText])
        let emoji = String(repeating: #"\ud83d\ude00"#, count: 12)
        #expect(parse(frame(#"{"p":1,"s":"\#(emoji)","t":0,"v":0}"#)).rejections.map(\.reason) == [.badText])
    }

    @Test(arguments: [#"\"#, #"\x"#, #"\u12"#, #"\u12G4"#, #"\U0041"#, "\u{1}", "\n", "\t"])
    func `a broken escape or a bare control character breaks the frame`(content: String) {
        for frame in [frame(#"{"p":1,"s":"A\#(content)","t":0,"v":0}"#), #"{"x":"\#(content)","type":"ping"}"#] {
            guard case .malformed = parse(frame).message else {
                Issue.record("\(frame) is accepted")
                return
            }
        }
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE2, 0x82],
            [0xED, 0xA0, 0x80],
            [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFF],
            [0xE2, 0x28, 0xA1], [0xF0, 0x9F, 0x28, 0x80],
        ] as [[UInt8]])
    func `invalid UTF-8 breaks the frame, in a symbol, a key and a field that nobody reads`(bytes: [UInt8]) {
        for (head, tail) in [
            (#"{"data":[{"p":1,"s":"A"#, #"","t":0,"v":0}],"type":"trade"}"#), (#"{"type":"ping","x"#, #"":1}"#),
            (#"{"type":"ping","x":""#, #""}"#),
        ] {
            let frame = Array(head.utf8) + bytes + Array(tail.utf8)
            #expect(parse(frame).message == .malformed(at: head.utf8.count))
            #expect(parse(frame).trades.isEmpty)
        }
    }

    @Test func `nesting is followed to a depth of 64, and no further`() {
        func nested(_ depth: Int) -> String {
            #"{"x":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
                + #","type":"ping"}"#
        }
        #expect(parse(nested(64)).message == .ping)
        #expect(parse(nested(65)).message == .malformed(at: 69))
        #expect(parse(nested(1_000_000)).message == .malformed(at: 69))
        let objects = String(repeating: #"{"a":"#, count: 100_000)
        guard case .malformed = parse(#"{"type":"trade","data":["# + objects).message else {
            Issue.record("objects nest without end")
            return
        }
    }

    @Test func `of a key that comes twice the last one counts`() throws {
        let item = #"{"p":1,"s":"A","t":1,"v":1,"c":["1"],"p":2,"s":"B","t":2,"v":2,"c":null}"#
        let trade = try #require(parse(frame(item)).trades.first)
        #expect(trade.symbol.description == "B")
        #expect(trade.price == Decimal(coefficient: 2, scale: 0))
        #expect(trade.volume == Decimal(coefficient: 2, scale: 0))
        #expect(trade.time.milliseconds == 2)
        #expect(trade.conditions.isEmpty)

        #expect(parse(#"{"type":"trade","type":"ping"}"#).message == .ping)
        #expect(parse(#"{"type":"ping","type":null}"#).message == .other(type: ""))
        #expect(parse(#"{"type":"error","msg":"a","msg":"b"}"#).message == .error(message: "b"))
        #expect(parse(#"{"type":"error","msg":"a","msg":1}"#).message == .error(message: ""))
        let twice = parse(#"{"data":[5,\#(apple)],"type":"trade","data":[\#(bitcoin)]}"#)
        #expect(twice.trades.map(\.symbol.description) == ["BINANCE:BTCUSDT"])
        #expect(twice.rejections.isEmpty)
        #expect(parse(#"{"data":[\#(apple)],"type":"trade","data":null}"#).trades.isEmpty)
    }

    @Test func `fields that are not known are read over, whatever they hold`() {
        let item =
            #"{"x":{"p":[1,{"s":"no"}],"t":-1e-5},"p":1,"pp":0,"":null,"s":"A","t":0,"data":[],"v":0,"y":"\ud83d"}"#
        let (message, trades, rejections) = parse(
            #"{"seq":7,"more":[{"type":"ping"}],"data":[\#(item)],"type":"trade"}"#)
        #expect(message == .trades)
        #expect(trades.map(\.symbol.description) == ["A"])
        #expect(rejections.isEmpty)
    }

    @Test(
        arguments: [
            "", " ", "[]", "null", "5", "\"x\"", "{", "}", "{]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
            "{\"a\" 1}", "{a:1}", "{'a':1}",
            "{\"a\":1 \"b\":2}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}",
            "{\"a\":nul}", "{\"a\":True}",
            "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{}{}", "{} x", "{\"a\":NaN}", "{\"a\":Infinity}",
            "/**/{}", "\u{FEFF}{}",
            "{\"data\":[1,]}", "{\"data\":[,]}", "{\"data\":[{\"p\":01}]}", "{\"data\":[{\"p\":1.}]}",
            "{\"data\":[{\"p\":-}]}",
            "{\"data\":[{\"c\":[\"1\",]}]}", "{\"data\":[{\"p\":1.234567890123456789.5,\"s\":\"A\",\"t\":0,\"v\":0}]}",
        ])
    func `what is no JSON object is malformed`(frame: String) {
        let (message, trades, rejections) = parse(frame)
        guard case .malformed(let position) = message else {
            Issue.record("\(frame) is \(message)")
            return
        }
        #expect((0...frame.utf8.count).contains(position))
        #expect(trades.isEmpty)
        #expect(rejections.last?.reason == .malformedJSON)
    }
}
