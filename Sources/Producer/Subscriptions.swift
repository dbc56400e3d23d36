import TradeModel

/// The symbols that the producer asks the feed for, and what the feed's errors say of them.
///
/// A pure state machine. A symbol that the feed calls invalid is not asked for again in this run.
struct Subscriptions {
    /// What an error of the feed means.
    enum Refusal: Equatable {
        /// The symbol is invalid, and has been dropped.
        case symbol(ShortText)
        /// There are more symbols than the plan allows; the feed does not say which of them it leaves out.
        case tooMany
        /// The same again, on the same connection.
        case tooManyAgain
        /// Something else, or of a symbol that is not known.
        case other
    }

    /// The symbols to subscribe, in the user's order.
    private(set) var symbols: [ShortText]
    /// How many were dropped.
    private(set) var refusedCount = 0
    /// Whether the feed has said on this connection that there are too many.
    private var hasTooMany = false

    init(_ symbols: [ShortText]) {
        self.symbols = symbols
    }

    /// A connection has opened, on which nothing is subscribed yet.
    mutating func opened() {
        hasTooMany = false
    }

    /// Takes in an error of the feed's.
    /// - Parameter hasTraded: whether a symbol has brought a trade in this run, so that it cannot be the invalid one.
    mutating func refusal(_ text: String, hasTraded: (ShortText) -> Bool) -> Refusal {
        if text.contains("too many symbols") {
            defer { hasTooMany = true }
            return hasTooMany ? .tooManyAgain : .tooMany
        }
        guard text.hasPrefix(Self.invalid) else { return .other }
        let name = text.dropFirst(Self.invalid.count).drop { $0 == " " }
        guard let symbol = name.isEmpty ? onlyCandidate(hasTraded) : ShortText(String(name)),
            let place = symbols.firstIndex(of: symbol)
        else { return .other }
        symbols.remove(at: place)
        refusedCount += 1
        return .symbol(symbol)
    }

    private static let invalid = "Invalid symbol"

    /// The one symbol that an error without a name can mean: all others have brought trades. A symbol beyond the plan's
    /// number brings none either, so then nothing is certain.
    private func onlyCandidate(_ hasTraded: (ShortText) -> Bool) -> ShortText? {
        let candidates = symbols.filter { !hasTraded($0) }
        return candidates.count == 1 && !hasTooMany ? candidates[0] : nil
    }
}
