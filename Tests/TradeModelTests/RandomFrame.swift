import TestSupport

/// A random valid frame of trades, and what a reader should find in it.
struct RandomFrame {
    /// One trade as the generator meant it.
    struct Item {
        var symbol: String
        var price: RandomNumber
        var volume: RandomNumber
        var milliseconds: Int64
        /// Nil for `null` and for none.
        var conditions: [String]?
    }

    private(set) var bytes: [UInt8] = []
    private(set) var items: [Item] = []
    private(set) var type = "trade"
    private let hasSpace: Bool

    init(mostItems: Int, using random: inout SplitMix64) {
        hasSpace = random.oneIn(3)
        if random.oneIn(20) { type = random.pick(["news", "pr", "ping", "Trade", ""]) }
        let isNull = random.oneIn(30)
        if !isNull {
            items = (0..<random.below(mostItems + 1)).map { _ in Self.item(&random) }
        }
        var fields: [(key: String, write: (inout RandomFrame, inout SplitMix64) -> Void)] = [
            ("type", { frame, random in frame.writeString(frame.type, escaping: false, &random) }),
            (
                "data",
                { frame, random in
                    guard !isNull else { return frame.write("null") }
                    frame.writeList(frame.items.count, "[", "]", &random) { frame, index, random in
                        frame.writeItem(frame.items[index], &random)
                    }
                }
            ),
        ]
        if random.oneIn(6) { fields.append(("seq", { frame, random in frame.writeValue(depth: 3, &random) })) }
        if random.oneIn(6) { fields.append(("c", { frame, random in frame.writeValue(depth: 3, &random) })) }
        fields.shuffle(using: &random)
        writeSpace(&random)
        writeObject(fields, &random)
        writeSpace(&random)
    }

    private static func item(_ random: inout SplitMix64) -> Item {
        let price = RandomNumber(isPrice: true, using: &random)
        let volume = RandomNumber(isPrice: false, using: &random)
        var conditions: [String]?
        if random.oneIn(2) { conditions = (0..<random.below(4)).map { _ in text(longest: 3, &random) } }
        let symbol =
            random.oneIn(3) ? text(longest: 11, &random) : random.pick(["AAPL", "BINANCE:BTCUSDT", "IC MARKETS:1"])
        return Item(
            symbol: symbol.isEmpty ? "A" : symbol, price: price, volume: volume,
            milliseconds: random.oneIn(9)
                ? Int64(random.below(253_402_300_800_000)) : 1_721_555_886_208 + Int64(random.below(100_000)),
            conditions: conditions)
    }

    /// Characters of one to four bytes, with those that JSON escapes, without control characters.
    private static func text(longest: Int, _ random: inout SplitMix64) -> String {
        var text = ""
        for _ in 0..<random.below(longest + 1) {
            text.unicodeScalars.append(
                random.pick([
                    "A", "z", "0", ":", " ", "\"", "\\", "/", "\u{7F}", "é", "€", "\u{FFFF}", "😀", "\u{10FFFF}",
                ]))
        }
        return text
    }

    private mutating func writeItem(_ item: Item, _ random: inout SplitMix64) {
        var fields: [(key: String, write: (inout RandomFrame, inout SplitMix64) -> Void)] = [
            ("s", { frame, random in frame.writeString(item.symbol, escaping: true, &random) }),
            ("p", { frame, _ in frame.bytes += item.price.text }),
            ("v", { frame, _ in frame.bytes += item.volume.text }),
            ("t", { frame, _ in frame.write("\(item.milliseconds)") }),
        ]
        if let conditions = item.conditions {
            fields.append(
                (
                    "c",
                    { frame, random in
                        frame.writeList(conditions.count, "[", "]", &random) { frame, index, random in
                            frame.writeString(conditions[index], escaping: true, &random)
                        }
                    }
                ))
        } else if random.oneIn(2) {
            fields.append(("c", { frame, _ in frame.write("null") }))
        }
        if random.oneIn(6) {
            let key = random.pick(["x", "", "pp", "data", "type", "S", "é", "\"", "a\\b"])
            fields.append((key, { frame, random in frame.writeValue(depth: 4, &random) }))
        }
        fields.shuffle(using: &random)
        writeObject(fields, &random)
    }

    /// Any value, nested at most so deep.
    private mutating func writeValue(depth: Int, _ random: inout SplitMix64) {
        switch random.below(depth == 0 ? 5 : 8) {
        case 0: write(random.pick(["null", "true", "false"]))
        case 1: bytes += RandomNumber(isPrice: false, using: &random).text
        case 2: write("-" + String(random.below(1000)))
        case 3, 4: writeString(Self.text(longest: 6, &random), escaping: true, &random)
        case 5:
            writeList(random.below(4), "[", "]", &random) { frame, _, random in
                frame.writeValue(depth: depth - 1, &random)
            }
        default:
            writeList(random.below(4), "{", "}", &random) { frame, index, random in
                frame.writeString(
                    random.pick(["p", "s", "t", "v", "c", "data", "type"]) + "\(index)", escaping: true, &random)
                frame.writeSpace(&random)
                frame.write(":")
                frame.writeSpace(&random)
                frame.writeValue(depth: depth - 1, &random)
            }
        }
    }

    private mutating func writeObject(
        _ fields: [(key: String, write: (inout RandomFrame, inout SplitMix64) -> Void)], _ random: inout SplitMix64
    ) {
        writeList(fields.count, "{", "}", &random) { frame, index, random in
            frame.writeString(fields[index].key, escaping: false, &random)
            frame.writeSpace(&random)
            frame.write(":")
            frame.writeSpace(&random)
            fields[index].write(&frame, &random)
        }
    }

    private mutating func writeList(
        _ count: Int, _ open: String, _ close: String, _ random: inout SplitMix64,
        element: (inout RandomFrame, Int, inout SplitMix64) -> Void
    ) {
        write(open)
        writeSpace(&random)
        for index in 0..<count {
            if index > 0 {
                write(",")
                writeSpace(&random)
            }
            element(&self, index, &random)
            writeSpace(&random)
        }
        write(close)
    }

    /// A JSON string in which each character is written as it is or, at random, as an escape.
    private mutating func writeString(_ text: String, escaping: Bool, _ random: inout SplitMix64) {
        write("\"")
        for scalar in text.unicodeScalars {
            if escaping, random.oneIn(5) {
                for unit in UTF16.encode(scalar) ?? .init() {
                    let digits = String(unit, radix: 16, uppercase: random.oneIn(2))
                    write("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
                }
            } else if scalar == "\"" || scalar == "\\" {
                write("\\\(scalar)")
            } else if scalar == "/", random.oneIn(2) {
                write("\\/")
            } else {
                write(String(scalar))
            }
        }
        write("\"")
    }

    private mutating func write(_ text: String) {
        bytes += Array(text.utf8)
    }

    private mutating func writeSpace(_ random: inout SplitMix64) {
        guard hasSpace else { return }
        for _ in 0..<random.below(3) { bytes.append(random.pick([0x20, 0x09, 0x0A, 0x0D])) }
    }
}
