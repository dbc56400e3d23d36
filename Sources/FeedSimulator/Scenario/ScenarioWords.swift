import ServiceKit
import TradeModel

/// What is wrong with a line of a scenario: the end of a sentence that begins with where it stands.
struct ScenarioProblem: Error {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The words of one line, taken one after the other and checked.
struct ScenarioWords {
    private var rest: Substring
    private let usage: String

    /// - Parameters:
    ///   - text: what stands behind the line's first word.
    ///   - usage: the form of the line, for errors.
    init(_ text: Substring, usage: String) {
        rest = text.trimmingPrefix(while: \.isBlank)
        self.usage = usage
    }

    /// An error that shows the form of the line.
    func problem(_ text: String) -> ScenarioProblem {
        ScenarioProblem("\(text); the form is: \(usage)")
    }

    /// All that is left, as it stands.
    mutating func remainder() -> String {
        defer { rest = "" }
        return String(rest)
    }

    /// The next word, or what stands in quotes; nil at the end of the line or at a comment.
    mutating func next() throws(ScenarioProblem) -> String? {
        guard let first = rest.first, first != "#" else { return nil }
        let word: Substring
        if first == "\"" {
            guard let end = rest.dropFirst().firstIndex(of: "\"") else { throw problem("a quote is not closed") }
            word = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
        } else {
            word = rest.prefix { !$0.isBlank }
            rest = rest.dropFirst(word.count)
        }
        rest = rest.trimmingPrefix(while: \.isBlank)
        return String(word)
    }

    /// The next word.
    mutating func word(_ what: String) throws(ScenarioProblem) -> String {
        guard let word = try next() else { throw problem("\(what) is missing") }
        return word
    }

    /// Throws when there is anything left.
    mutating func end() throws(ScenarioProblem) {
        if let word = try next() { throw problem("'\(word)' is too much") }
    }

    mutating func number(_ what: String, _ range: ClosedRange<Int>) throws(ScenarioProblem) -> Int {
        try number(word(what), what, range)
    }

    func number(_ word: String, _ what: String, _ range: ClosedRange<Int>) throws(ScenarioProblem) -> Int {
        guard let number = Int(word), range.contains(number) else {
            throw problem(
                "\(what) is '\(word)': must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    mutating func duration(_ what: String) throws(ScenarioProblem) -> Duration {
        try duration(word(what), what)
    }

    func duration(_ word: String, _ what: String) throws(ScenarioProblem) -> Duration {
        guard let milliseconds = Self.milliseconds(word[...]), milliseconds > 0 else {
            throw problem("\(what) is '\(word)': must be a time above zero such as 20ms, 5s, 40m or 1h")
        }
        return .milliseconds(milliseconds)
    }

    /// Times from one to another, such as `-40m..-13ms`, or one such as `+5s`.
    mutating func shift(_ what: String) throws(ScenarioProblem) -> ClosedRange<Int64> {
        let word = try word(what)
        let dots = word.firstRange(of: "..")
        let bounds = (word[..<(dots?.lowerBound ?? word.endIndex)], word[(dots?.upperBound ?? word.startIndex)...])
        guard let from = Self.signed(bounds.0), let to = Self.signed(bounds.1), from <= to else {
            throw problem("\(what) is '\(word)': must be a time such as +5s or -13ms, or two such as -40m..-13ms")
        }
        return from...to
    }

    private static func signed(_ word: Substring) -> Int64? {
        switch word.first {
        case "-": milliseconds(word.dropFirst()).map { -$0 }
        case "+": milliseconds(word.dropFirst())
        default: nil
        }
    }

    private static func milliseconds(_ word: Substring) -> Int64? {
        let digits = word.prefix { ("0"..."9").contains($0) }
        let units: [Substring: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]
        guard let unit = units[word.dropFirst(digits.count)], let number = Int64(digits), number <= 1_000_000 else {
            return nil
        }
        return number * unit
    }

    /// A symbol's name.
    mutating func symbol(_ known: Set<ShortText>) throws(ScenarioProblem) -> ShortText {
        let word = try word("a symbol")
        guard let symbol = ShortText(word), known.contains(symbol) else {
            let hint = nearest(to: word, in: known.map(\.description)).map { "; did you mean '\($0)'?" } ?? ""
            throw ScenarioProblem("there is no symbol '\(word)' in the market\(hint)")
        }
        return symbol
    }

    /// One of a few words.
    mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ what: String, _: Choice.Type
    ) throws(ScenarioProblem) -> Choice {
        let word = try word(what)
        guard let choice = Choice(rawValue: word) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw problem("\(what) is '\(word)': must be one of \(choices)")
        }
        return choice
    }
}

extension Character {
    /// Whether it stands between words.
    var isBlank: Bool { self == " " || self == "\t" }
}
