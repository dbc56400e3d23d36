import TestSupport
import Testing

@testable import TradeModel

@Suite struct ShortTextTests {
    @Test(arguments: ["", "AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD", "IC MARKETS:1", "é€😀", "a\0b"])
    func `a text comes back as it was put in`(string: String) throws {
        let text = try #require(ShortText(string))
        #expect(text.description == string)
        #expect(text.count == string.utf8.count)
        #expect(text.withBytes { Array($0) } == Array(string.utf8))
    }

    @Test func `47 bytes fit and 48 do not`() throws {
        let full = String(repeating: "x", count: 47)
        #expect(ShortText.capacity == 47)
        #expect(ShortText(full)?.description == full)
        #expect(ShortText(full + "x") == nil)
        #expect(ShortText(String(repeating: "€", count: 15) + "ab")?.count == 47)
        #expect(ShortText(String(repeating: "€", count: 16)) == nil)
        #expect(ShortText(String(repeating: "x", count: 1000)) == nil)
    }

    @Test func `the empty text has no bytes`() {
        #expect(ShortText().count == 0)
        #expect(ShortText() == ShortText(""))
        #expect(ShortText().description.isEmpty)
    }

    @Test func `a text that ends in a zero byte is not the text without it`() {
        #expect(ShortText("a\0") != ShortText("a"))
        #expect(ShortText("\0") != ShortText(""))
    }

    @Test func `equality, hash and order are those of the UTF-8 bytes`() throws {
        let seed: UInt64 = 7
        var random = SplitMix64(seed: seed)
        for run in 0..<20_000 {
            let (left, right) = Self.pair(&random)
            let (leftText, rightText) = (try #require(ShortText(left)), try #require(ShortText(right)))
            let (leftBytes, rightBytes) = (Array(left.utf8), Array(right.utf8))
            let isEqual = leftBytes == rightBytes
            let isBelow = leftBytes.lexicographicallyPrecedes(rightBytes)
            let isSameHash = leftText.hashValue == rightText.hashValue
            guard (leftText == rightText) == isEqual, (leftText < rightText) == isBelow, !isEqual || isSameHash,
                isEqual || !isSameHash
            else {
                Issue.record("seed \(seed), run \(run): \(leftBytes) and \(rightBytes)")
                return
            }
        }
    }

    @Test func `a text finds its entry in a dictionary, at every length`() throws {
        var counts: [ShortText: Int] = [:]
        for length in 0...47 { counts[try #require(ShortText(String(repeating: "k", count: length)))] = length }
        #expect(counts.count == 48)
        for length in 0...47 {
            #expect(counts[try #require(ShortText(String(repeating: "k", count: length)))] == length)
        }
    }

    /// Two texts that often are equal, or differ in one place only, or in length only.
    private static func pair(_ random: inout SplitMix64) -> (String, String) {
        var scalars = Array((0..<random.below(12)).map { _ in random.pick(["a", "b", "é", "€", "😀", "\0", "\u{7F}"]) })
        let left = scalars.joined()
        switch random.below(4) {
        case 0: break
        case 1: scalars.append("a")
        case 2 where !scalars.isEmpty: scalars[random.below(scalars.count)] = "b"
        default: scalars.shuffle(using: &random)
        }
        let right = scalars.joined()
        return (String(left.unicodeScalars.prefix(11)), String(right.unicodeScalars.prefix(11)))
    }
}
