import ServiceKit
import TradeModel

/// What the user may ask the feed for.
enum FeedSymbols {
    /// The most symbols of one producer. Each costs a subscription on each open, and a series of a metric.
    static let maximum = 1000
    /// What the feed's free plan allows on a connection.
    static let freePlan = 50

    /// What is wrong with a list of symbols, as a sentence's end; nil when nothing is.
    static func problem(_ symbols: [String]) -> String? {
        if symbols.isEmpty { return "must name at least one symbol" }
        if symbols.count > maximum { return "must name at most \(maximum) symbols" }
        if symbols.contains(where: { ShortText($0) == nil }) {
            return "must name symbols of at most \(ShortText.capacity) bytes"
        }
        if symbols.contains(where: { $0.unicodeScalars.contains { $0.properties.generalCategory == .control } }) {
            return "must name symbols without control characters"
        }
        return nil
    }

    /// A list that has no problem, each symbol once. Warns of what the user may not have meant.
    static func unique(_ symbols: [String], _ logger: Logger) -> [ShortText] {
        var seen: Set<ShortText> = []
        var unique: [ShortText] = []
        for symbol in symbols.compactMap({ ShortText($0) }) {
            if seen.insert(symbol).inserted {
                unique.append(symbol)
            } else {
                logger.warning("a symbol stands twice in the list; once is enough", ["feed.symbol": symbol])
            }
        }
        if unique.count > freePlan {
            logger.warning(
                "there are more symbols than the feed's free plan allows on a connection; it may leave some out",
                ["feed.symbols": unique.count, "feed.plan": freePlan])
        }
        return unique
    }
}
