import ServiceKit
import TradeModel

extension ScenarioVocabulary {
    /// An option of `trades`.
    struct TradesOption: Sendable {
        let name: String
        /// What stands behind the name.
        let form: String
        let read:
            @Sendable (inout ScenarioWords, Set<ShortText>, inout ScenarioStep.TradesStep) throws(ScenarioProblem)
                -> Void
    }

    /// Reads `COUNT|forever` and any of the options.
    static func readTrades(
        _ words: inout ScenarioWords, _ known: Set<ShortText>
    ) throws(ScenarioProblem) -> ScenarioStep {
        let count = try words.word("the number of trades")
        var step = ScenarioStep.TradesStep(
            count: count == "forever" ? nil : try words.number(count, "the number of trades", 1...1_000_000_000))
        while let name = try words.next() {
            guard let option = tradesOptions.first(where: { $0.name == name }) else {
                let names = tradesOptions.map(\.name)
                let hint = nearest(to: name, in: names).map { "; did you mean '\($0)'?" } ?? ""
                throw ScenarioProblem(
                    "'trades' has no option '\(name)'\(hint); there are: \(names.joined(separator: ", "))")
            }
            try option.read(&words, known, &step)
        }
        return .trades(step)
    }

    static let tradesOptions = [
        TradesOption(name: "rate", form: "COUNT|max") { (words, _, step) throws(ScenarioProblem) in
            let word = try words.word("the rate")
            step.rate = word == "max" ? .max : .perSecond(try words.number(word, "the rate", 1...200_000))
        },
        TradesOption(name: "per-frame", form: "COUNT") { (words, _, step) throws(ScenarioProblem) in
            step.maxPerFrame = try words.number("the number a frame", 1...100_000)
        },
        TradesOption(name: "symbol", form: "SYMBOL") { (words, known, step) throws(ScenarioProblem) in
            step.symbol = try words.symbol(known)
        },
        TradesOption(name: "without", form: "SYMBOL") { (words, known, step) throws(ScenarioProblem) in
            step.mutedSymbol = try words.symbol(known)
        },
        TradesOption(name: "keys", form: "type-first|data-first") { (words, _, step) throws(ScenarioProblem) in
            step.style.keys = try words.choice("the order", TradeStyle.Keys.self)
        },
        TradesOption(name: "conditions", form: "null|empty|absent|list") { (words, _, step) throws(ScenarioProblem) in
            step.style.conditions =
                switch try words.choice("the value", ConditionsWord.self) {
                case .null: .null
                case .empty: .empty
                case .absent: .absent
                case .list: .oddLot
                }
        },
        TradesOption(name: "numbers", form: "exponent|integer|long") { (words, _, step) throws(ScenarioProblem) in
            step.style.numbers = try words.choice("the form", TradeStyle.Numbers.self)
        },
        TradesOption(name: "copies", form: "COUNT") { (words, _, step) throws(ScenarioProblem) in
            step.style.copies = try words.number("the number of copies", 1...100)
        },
        TradesOption(name: "frame-copies", form: "COUNT") { (words, _, step) throws(ScenarioProblem) in
            step.frameCopies = try words.number("the number of copies", 1...100)
        },
        TradesOption(name: "apart", form: "TIME") { (words, _, step) throws(ScenarioProblem) in
            step.apart = try words.duration("the time")
        },
        TradesOption(name: "shift", form: "TIME|TIME..TIME") { (words, _, step) throws(ScenarioProblem) in
            step.style.shift = try words.shift("the shift")
        },
    ]

    private enum ConditionsWord: String, CaseIterable {
        case null, empty, absent, list
    }
}
