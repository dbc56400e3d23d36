import TradeModel

/// The lines that a scenario can have: the form of each, and how it is read.
enum ScenarioVocabulary {
    struct Entry: Sendable {
        let name: String
        /// What stands behind the name.
        let form: String
        let read: @Sendable (inout ScenarioWords, Set<ShortText>) throws(ScenarioProblem) -> ScenarioStep

        var usage: String { form.isEmpty ? name : "\(name) \(form)" }
    }

    static func entry(_ name: String) -> Entry? { all.first { $0.name == name } }

    static let all: [Entry] = settings + steps

    private static let settings = [
        Entry(name: "tls", form: "CERTIFICATE KEY") { (words, _) throws(ScenarioProblem) in
            .tls(certificate: try words.word("the certificate's file"), key: try words.word("the key's file"))
        },
        Entry(name: "buffer", form: "BYTES") { (words, _) throws(ScenarioProblem) in
            .buffer(bytes: try words.number("the size", 1...(1 << 30)))
        },
        Entry(name: "patience", form: "TIME") { (words, _) throws(ScenarioProblem) in
            .patience(try words.duration("the time"))
        },
        Entry(name: "cut", form: "BYTES|off [every TIME]") { (words, _) throws(ScenarioProblem) in
            let size = try words.word("the size")
            if size == "off" { return .cut(nil) }
            let bytes = try words.number(size, "the size", 1...(1 << 20))
            guard let word = try words.next() else { return .cut(.init(bytes: bytes, pause: .zero)) }
            guard word == "every" else { throw words.problem("'\(word)' is not 'every'") }
            return .cut(.init(bytes: bytes, pause: try words.duration("the time")))
        },
        Entry(name: "gather", form: "FRAMES") { (words, _) throws(ScenarioProblem) in
            .gather(frames: try words.number("the number of frames", 1...10_000))
        },
        Entry(name: "fragments", form: "COUNT|off [pings] [empty-end]") { (words, _) throws(ScenarioProblem) in
            let count = try words.word("the number of fragments")
            if count == "off" { return .fragments(nil) }
            var options: Set<String> = []
            while let word = try words.next() {
                guard ["pings", "empty-end"].contains(word) else { throw words.problem("'\(word)' is too much") }
                options.insert(word)
            }
            return .fragments(
                .init(
                    count: try words.number(count, "the number of fragments", 1...10_000),
                    hasPings: options.contains("pings"), hasEmptyEnd: options.contains("empty-end")))
        },
        Entry(name: "frames", form: "text|binary|masked|invalid-utf8") { (words, _) throws(ScenarioProblem) in
            .frames(try words.choice("the kind", ScenarioStep.FrameKind.self))
        },
        Entry(name: "pings", form: "every TIME|off") { (words, _) throws(ScenarioProblem) in
            switch try words.word("every or off") {
            case "off": .pings(nil)
            case "every": .pings(try words.duration("the time"))
            case let word: throw words.problem("'\(word)' is neither 'every' nor 'off'")
            }
        },
        Entry(name: "max-symbols", form: "COUNT") { (words, _) throws(ScenarioProblem) in
            .maxSymbols(try words.number("the number", 0...1_000_000))
        },
        Entry(name: "invalid", form: "SYMBOL") { (words, known) throws(ScenarioProblem) in
            .invalid(try words.symbol(known))
        },
        Entry(name: "ignore", form: "subscribe|unsubscribe|ping") { (words, _) throws(ScenarioProblem) in
            .ignore(try words.choice("what is ignored", ScenarioStep.Ignored.self))
        },
        Entry(name: "key", form: "newest-wins|close-both|refuse") { (words, _) throws(ScenarioProblem) in
            .key(try words.choice("the policy", ScenarioStep.KeyPolicy.self))
        },
    ]

    private static let steps = [
        Entry(name: "answer", form: "STATUS [retry-after SECONDS] [location URL] [for TIME]", read: readAnswer),
        Entry(name: "accept", form: "[wrong-hash]") { (words, _) throws(ScenarioProblem) in
            switch try words.next() {
            case nil: .accept(.right)
            case "wrong-hash": .accept(.wrongHash)
            case let word?: throw words.problem("'\(word)' is too much")
            }
        },
        Entry(name: "trades", form: "COUNT|forever [OPTION VALUE]…", read: readTrades),
        Entry(name: "text", form: "MESSAGE") { (words, _) throws(ScenarioProblem) in
            .text(words.remainder())
        },
        Entry(name: "wait", form: "TIME|forever|symbols COUNT") { (words, _) throws(ScenarioProblem) in
            switch try words.word("the time") {
            case "forever": .waitForever
            case "symbols": .waitForSymbols(try words.number("the number of symbols", 1...1_000_000))
            case let word: .waitFor(try words.duration(word, "the time"))
            }
        },
        Entry(name: "mute", form: "TIME|forever") { (words, _) throws(ScenarioProblem) in
            switch try words.word("the time") {
            case "forever": .mute(nil)
            case let word: .mute(try words.duration(word, "the time"))
            }
        },
        Entry(name: "close", form: "[CODE [REASON]]") { (words, _) throws(ScenarioProblem) in
            guard let code = try words.next() else { return .close(code: nil, reason: "") }
            let number = UInt16(try words.number(code, "the code", 0...65_535))
            let reason = try words.next() ?? ""
            guard reason.utf8.count <= 123 else { throw words.problem("the reason has more than 123 bytes") }
            return .close(code: number, reason: reason)
        },
        Entry(name: "drop", form: "") { (_, _) in .drop },
        Entry(name: "end", form: "") { (_, _) in .end },
        Entry(name: "reset", form: "") { (_, _) in .reset },
    ]

    private static func readAnswer(
        _ words: inout ScenarioWords, _: Set<ShortText>
    ) throws(ScenarioProblem) -> ScenarioStep {
        var answer = ScenarioStep.Answer(status: try words.number("the status", 200...599))
        while let option = try words.next() {
            switch option {
            case "retry-after": answer.retryAfter = try words.number("the seconds", 0...1_000_000)
            case "location": answer.location = try words.word("the URL")
            case "for": answer.period = try words.duration("the time")
            default: throw words.problem("'\(option)' is too much")
            }
        }
        return .answer(answer)
    }
}
