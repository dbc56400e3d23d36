import Foundation
import ProgramTestSupport

/// What stands in a message of the feed, as docs/formats.md has it, read without the parser under test.
enum FeedFrame {
    /// The trades of a message as `TradeLine`s: its good items, and of a message that ends in the middle those before that.
    static func trades(_ text: String) throws -> [String] {
        let frame = try (try? JSONText(text.utf8)) ?? JSONText(mended(text).utf8)
        guard frame["type"]?.string ?? "trade" == "trade" else { return [] }
        return try (frame["data"]?.elements ?? []).filter(isTrade).map(TradeLine.of)
    }

    private static func mended(_ text: String) -> String {
        text.range(of: "},{", options: .backwards).map { text[..<$0.lowerBound] + "}]}" } ?? "{}"
    }

    private static func isTrade(_ item: JSONText) -> Bool {
        guard item["s"]?.string != nil, let price = item["p"]?.number.flatMap(Double.init),
            let volume = item["v"]?.number.flatMap(Double.init), item["t"]?.number.flatMap(Int64.init) != nil
        else { return false }
        return price > 0 && volume >= 0
    }
}
