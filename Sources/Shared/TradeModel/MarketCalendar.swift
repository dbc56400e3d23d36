/// Tells for each symbol when its market trades.
///
/// It is made from a text, the built-in one or a user's; `docs/market-hours.md` describes its form.
package struct MarketCalendar: Sendable {
    /// A market and the symbols that belong to it.
    struct Entry: Sendable {
        let patterns: [SymbolPattern]
        let hours: MarketHours
    }

    /// In the order of the text; the last takes every symbol.
    private let entries: [Entry]

    /// Reads a calendar's text.
    /// - Throws: the first mistake, with its line.
    package init(text: String) throws(MarketCalendarError) {
        var parser = MarketCalendarParser()
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() { try parser.read(line, number: index + 1) }
        entries = try parser.finish()
    }

    /// The hours of the first market that has a pattern for the symbol. Looked up once a symbol, not once a trade.
    package func hours(of symbol: ShortText) -> MarketHours {
        let entry = entries.first { $0.patterns.contains { $0.matches(symbol) } }
        // The parser has seen to it that the last market takes every symbol.
        return (entry ?? entries[entries.count - 1]).hours
    }

    /// The calendar for the feed's symbols that holds when the user gives none.
    package static let builtIn = try! MarketCalendar(text: builtInText)

    /// The built-in calendar, to be copied and changed.
    package static let builtInText = """
        # Currencies and metals of brokers. The trading day that ends on Monday at 17:00 begins on Sunday at 17:00.
        market forex
        symbols OANDA:*, FXCM:*, FOREX:*, FOREXCOM:*, FOREX.COM:*, FX:*, IC MARKETS:*, ICM:*, ICMTRADER:*, FXPRO:*
        symbols FHFX:*, FXPIG:*, CAPITAL:*, PEPPERSTONE:*, PEPPERSTONEUK:*, SAXO:*
        zone New_York
        session regular Mon-Fri 17:00-17:00 mute-after 5m
        closed 12-25, 01-01

        # Every other symbol with a colon: BINANCE:BTCUSDT, COINBASE:BTC-USD, KRAKEN:XBT/USD …
        market crypto
        symbols *:*
        zone UTC
        session regular Mon-Sun 00:00-24:00 mute-after 5m

        # Symbols without a colon: AAPL, BRK.B …
        market us-stocks
        symbols *
        zone New_York
        session pre     Mon-Fri 04:00-09:30 mute-after 120m
        session regular Mon-Fri 09:30-16:00 mute-after 15m
        session post    Mon-Fri 16:00-20:00 mute-after 120m
        session pre     short   04:00-09:30 mute-after 120m
        session regular short   09:30-13:00 mute-after 15m
        session post    short   13:00-17:00 mute-after 120m
        closed NYSE
        short NYSE
        # The national day of mourning for James Carter.
        closed 2025-01-09

        """
}

/// A mistake in a calendar's text.
package struct MarketCalendarError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    package let line: Int
    /// What is wrong there, and what would be right.
    package let message: String

    package var description: String { "line \(line): \(message)" }
}
