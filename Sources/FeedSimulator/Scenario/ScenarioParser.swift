import ServiceKit
import TradeModel

extension Scenario {
    /// Reads a scenario file.
    /// - Parameter known: the symbols of the market.
    /// - Throws: `ConfigurationError` when it cannot be read, or naming the first line that is wrong.
    init(contentsOf path: String, known: Set<ShortText>) throws(ConfigurationError) {
        let text: String
        do {
            text = try readTextFile(path)
        } catch {
            throw ConfigurationError("--scenario: \(error)")
        }
        try self.init(text, path: path, known: known)
    }

    /// Reads a scenario from a text; the path is for errors, and names the folder of the certificates.
    init(_ text: String, path: String, known: Set<ShortText>) throws(ConfigurationError) {
        var parser = ScenarioParser(known: known)
        var number = 0
        do throws(ScenarioProblem) {
            // To Swift, CR LF is one character.
            for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
                number += 1
                try parser.read(line, number)
            }
            sections = try parser.finish()
        } catch {
            throw ConfigurationError("--scenario '\(path)', line \(number): \(error.description)")
        }
        folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}

/// Gathers a scenario's sections line by line.
private struct ScenarioParser {
    let known: Set<ShortText>
    /// The lines before the first section, which every connection begins with.
    private var head: [Scenario.Line] = []
    private var sections: [Scenario.Section] = []
    /// The section that is being read.
    private var connections: ClosedRange<Int>?
    private var lines: [Scenario.Line] = []

    init(known: Set<ShortText>) {
        self.known = known
    }

    mutating func read(_ line: Substring, _ number: Int) throws(ScenarioProblem) {
        let content = line.trimmingPrefix(while: \.isBlank)
        let name = String(content.prefix { !$0.isBlank })
        guard !name.isEmpty, !name.hasPrefix("#") else { return }
        let rest = content.dropFirst(name.count)
        if name == "connection" { return try begin(rest) }
        guard let entry = ScenarioVocabulary.entry(name) else {
            let names = ScenarioVocabulary.all.map(\.name) + ["connection"]
            let hint = nearest(to: name, in: names).map { "; did you mean '\($0)'?" } ?? ""
            throw ScenarioProblem("there is no step '\(name)'\(hint); docs/scenarios.md lists them all")
        }
        var words = ScenarioWords(rest, usage: entry.usage)
        let step = try entry.read(&words, known)
        try words.end()
        try check(step, name)
        lines.append(Scenario.Line(number: number, step: step))
    }

    /// Begins a section.
    private mutating func begin(_ rest: Substring) throws(ScenarioProblem) {
        var words = ScenarioWords(rest, usage: "connection NUMBER|FIRST-LAST|*")
        let word = try words.word("the number")
        try words.end()
        finishSection()
        guard connections?.upperBound != .max else {
            throw ScenarioProblem("'connection \(word)' comes too late: 'connection *' is the last section")
        }
        let bounds = word.split(separator: "-", omittingEmptySubsequences: false)
        if word == "*" {
            connections = 1...Int.max
        } else if (1...2).contains(bounds.count), let first = Int(bounds[0]), let last = Int(bounds[bounds.count - 1]),
            0 < first, first <= last, last < .max
        {
            let numbers = first...last
            guard !sections.contains(where: { $0.connections.overlaps(numbers) }) else {
                throw ScenarioProblem("'connection \(word)' has a section above already")
            }
            connections = numbers
        } else {
            throw words.problem("'\(word)' names no connection")
        }
    }

    private mutating func finishSection() {
        if let connections {
            sections.append(Scenario.Section(connections: connections, lines: lines))
        } else {
            head = lines
        }
        lines = head
    }

    mutating func finish() throws(ScenarioProblem) -> [Scenario.Section] {
        finishSection()
        guard sections.contains(where: { $0.connections.upperBound == .max }) else {
            throw ScenarioProblem("the file ends without 'connection *', the section for all other connections")
        }
        return sections
    }

    /// Throws when a step makes no sense behind those before it.
    private func check(_ step: ScenarioStep, _ name: String) throws(ScenarioProblem) {
        if let last = lines.last, last.step.isLast {
            throw ScenarioProblem(
                "'\(name)' is never reached, since line \(last.number) is the last step of its connection")
        }
        let isOpen = lines.contains { $0.step == .accept(.right) }
        switch step {
        case .accept where isOpen, .key where isOpen, .answer where isOpen, .tls where isOpen:
            throw ScenarioProblem("'\(name)' must come before 'accept'")
        case .trades where !isOpen, .text where !isOpen, .drop where !isOpen, .close where !isOpen,
            .waitForSymbols where !isOpen:
            throw ScenarioProblem("'\(name)' must come after 'accept'")
        case .tls where lines.contains(where: { if case .tls = $0.step { true } else { false } }):
            throw ScenarioProblem("TLS has begun already; a connection has one certificate")
        default: break
        }
    }
}
