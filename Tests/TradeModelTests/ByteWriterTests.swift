import Foundation
import TestSupport
import Testing

@testable import TradeModel

private typealias Decimal = TradeModel.Decimal

@Suite struct ByteWriterTests {
    @Test func `what is written stands there in its order`() {
        var writer = ByteWriter()
        writer.write("price ")
        writer.write(Decimal(coefficient: 6_697_277, scale: 2))
        writer.write(byte: UInt8(ascii: " "))
        writer.write(Int64(-7))
        writer.write(" é")
        let text = String(repeating: "x", count: 2)
        writer.write(text)
        #expect(writer.string == "price 66972.77 -7 éxx")
        #expect(writer.count == 22)
    }

    @Test func `clearing and truncating forget the bytes behind`() {
        var writer = ByteWriter()
        writer.write("abc")
        writer.truncate(to: 1)
        #expect(writer.string == "a")
        writer.clear()
        #expect(writer.count == 0)
        #expect(writer.string.isEmpty)
        writer.write("x")
        #expect(writer.string == "x")
    }

    @Test func `the buffer grows and keeps what stands in it`() {
        var writer = ByteWriter(capacity: 1)
        var expected = ""
        for number in 0..<5000 {
            writer.write(Int64(number))
            expected += "\(number)"
        }
        #expect(writer.string == expected)
        let long = String(repeating: "long ", count: 10_000)
        writer.write(long)
        #expect(writer.string == expected + long)
    }

    @Test(
        arguments: [0, 1, 9, 10, 99, 100, -1, -10, .max, .min, 999_999_999_999_999_999, 1_000_000_000_000_000_000]
            as [Int64])
    func `a whole number is written in decimal`(number: Int64) {
        var writer = ByteWriter()
        writer.write(number)
        #expect(writer.string == "\(number)")
    }

    @Test func `whole numbers of every length are written in decimal`() {
        let seed: UInt64 = 9
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            let number = Int64(truncatingIfNeeded: random.next() >> UInt64(random.below(64)))
            var writer = ByteWriter()
            writer.write(number)
            guard writer.string == "\(number)" else {
                Issue.record("seed \(seed): \(number) is written \(writer.string)")
                return
            }
        }
    }

    @Test func `a JSON string escapes quotes, backslashes and control characters, and nothing else`() {
        var writer = ByteWriter()
        let text = "a\"b\\c/\u{0}\u{1F}\n\u{7F}é😀"
        Array(text.utf8).withUnsafeBytes { writer.writeJSONString($0) }
        #expect(writer.string == "\"a\\\"b\\\\c/\\u0000\\u001f\\u000a\u{7F}é😀\"")
    }

    @Test(arguments: ["", "AAPL", "\"", "\\\\", "\u{1}x\u{2}", "tail\t", "😀\"😀"])
    func `a JSON string reads back as it was`(text: String) throws {
        var writer = ByteWriter()
        Array(text.utf8).withUnsafeBytes { writer.writeJSONString($0) }
        let read = try JSONSerialization.jsonObject(with: Data(writer.string.utf8), options: .fragmentsAllowed)
        #expect(read as? String == text)
    }
}
