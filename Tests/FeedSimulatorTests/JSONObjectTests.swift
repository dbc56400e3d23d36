import Testing
import TradeModel

struct JSONObjectTests {
    @Test func `Strings and numbers are found under their keys`() throws {
        let object = try JSONObject(Array(#"{"a":"x","b":-1.50,"c":null,"d":[1,"y"],"e":"","a":"z"}"#.utf8).span)
        #expect(object.string("a") == "z")
        #expect(object.string("e") == "")
        #expect(object.number("b") == Decimal(coefficient: -150, scale: 2))
        #expect(object.string("b") == nil && object.number("a") == nil)
        #expect(object.string("c") == nil && object.string("d") == nil && object.string("f") == nil)
    }

    @Test func `All escapes are resolved in keys and strings`() throws {
        let object = try JSONObject(Array(#"{"\u006b":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é"}"#.utf8).span)
        #expect(object.string("k") == "\"\\/\u{8}\u{C}\n\r\té😀 é")
    }

    @Test(arguments: [
        #"{"a":"\ud83d"}"#, #"{"a":"\ude00\ud83d"}"#, #"{"a":"\x"}"#, "{}x", "[]", "", #"{"a":1"#, "{\"a\":\"\n\"}",
    ])
    func `What is no object is refused`(text: String) {
        #expect(throws: RejectionReason.self) { try JSONObject(Array(text.utf8).span) }
    }
}
