import TradeModel

/// The protocol's rules for one client: what it has subscribed, and what its messages mean. Does no I/O.
struct ClientSession {
    /// What is to be done about a message.
    enum Action: Equatable {
        case subscribe(ShortText)
        case unsubscribe(ShortText)
        /// An error frame with this message; the connection stays open.
        case refuse(String)
        /// Nothing: the feed acknowledges nothing.
        case ignore
    }

    /// The symbols that there are.
    var known: Set<ShortText>
    /// How many symbols may be subscribed.
    var places: Int
    private var symbols: Set<ShortText> = []

    init(known: Set<ShortText>, places: Int) {
        self.known = known
        self.places = places
    }

    mutating func receive(_ message: Span<UInt8>) -> Action {
        guard let object = try? JSONObject(message), let type = object.string("type"),
            let name = object.string("symbol")
        else {
            return .refuse("Invalid message")
        }
        switch type {
        case "subscribe": return subscribe(name)
        case "unsubscribe":
            guard let symbol = ShortText(name), symbols.remove(symbol) != nil else { return .ignore }
            return .unsubscribe(symbol)
        default: return .refuse("Invalid message type \(type)")
        }
    }

    private mutating func subscribe(_ name: String) -> Action {
        guard let symbol = ShortText(name), known.contains(symbol) else { return .refuse("Invalid symbol \(name)") }
        guard !symbols.contains(symbol) else { return .ignore }
        guard symbols.count < places else { return .refuse("Subscribing to too many symbols") }
        symbols.insert(symbol)
        return .subscribe(symbol)
    }
}
