/// A pattern of symbols in which `*` stands for any bytes, also none: `OANDA:*`, `*.DE`, `*`.
struct SymbolPattern: Sendable {
    private static let star = UInt8(ascii: "*")
    private let bytes: [UInt8]

    init(_ text: some StringProtocol) {
        bytes = Array(text.utf8)
    }

    /// Whether every symbol fits.
    var isCatchAll: Bool { bytes.allSatisfy { $0 == Self.star } }

    func matches(_ symbol: ShortText) -> Bool {
        symbol.withBytes { text in
            var (position, place) = (0, 0)
            // Where the last star stands, and where in the text what follows it is tried next.
            var retry: (place: Int, position: Int)?
            while position < text.count {
                if place < bytes.count, bytes[place] == Self.star {
                    retry = (place, position)
                    place += 1
                } else if place < bytes.count, bytes[place] == text[position] {
                    (position, place) = (position + 1, place + 1)
                } else if let last = retry {
                    retry = (last.place, last.position + 1)
                    (position, place) = (last.position + 1, last.place + 1)
                } else {
                    return false
                }
            }
            return bytes[place...].allSatisfy { $0 == Self.star }
        }
    }
}
