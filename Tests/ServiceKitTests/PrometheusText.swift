/// A strict reader of Prometheus' text format 0.0.4: it refuses what a scrape would, and sloppiness besides.
struct PrometheusText {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }
    struct Family: Equatable {
        var type: String
        var help: String
        var samples: [Sample] = []
    }
    struct Malformed: Error {
        let line: String
        let problem: String
    }

    private(set) var families: [String: Family] = [:]

    /// The value of the one sample with the name and labels.
    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        families.values.flatMap(\.samples).first { $0.name == name && $0.labels == labels }?.value
    }

    init(_ text: String) throws {
        guard text.isEmpty || text.hasSuffix("\n") else { throw Malformed(line: text, problem: "no line end") }
        var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
        lines.removeLast()
        while let help = lines.popFirst() {
            let parts = try Self.comment("HELP", help)
            let name = parts.name
            guard families[name] == nil else { throw Malformed(line: help, problem: "the name comes twice") }
            let typeLine = lines.popFirst() ?? ""
            let type = try Self.comment("TYPE", typeLine)
            guard type.name == name, ["counter", "gauge", "histogram"].contains(type.rest) else {
                throw Malformed(line: typeLine, problem: "no type for \(name)")
            }
            let helpText = try Self.unescaped(parts.rest[...], quotes: false, line: help)
            var family = Family(type: type.rest, help: helpText)
            while let line = lines.first, !line.hasPrefix("#") {
                let sample = try Self.sample(line)
                let suffixes = family.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                guard suffixes.contains(where: { sample.name == name + $0 }) else {
                    throw Malformed(line: line, problem: "it does not belong to \(name)")
                }
                guard !family.samples.contains(where: { $0.name == sample.name && $0.labels == sample.labels }) else {
                    throw Malformed(line: line, problem: "the sample comes twice")
                }
                family.samples.append(sample)
                lines.removeFirst()
            }
            if family.type == "histogram" { try Self.checkHistogram(name, family.samples) }
            families[name] = family
        }
    }

    private static func comment(_ kind: String, _ line: String) throws -> (name: String, rest: String) {
        let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == "#", parts[1] == kind, isName(parts[2][...], colons: true) else {
            throw Malformed(line: line, problem: "expected # \(kind) name text")
        }
        return (parts[2], parts[3])
    }

    private static func isName(_ text: Substring, colons: Bool) -> Bool {
        guard let first = text.unicodeScalars.first, !("0"..."9").contains(first) else { return false }
        return text.unicodeScalars.allSatisfy {
            ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0) || $0 == "_"
                || (colons && $0 == ":")
        }
    }

    private static func unescaped(_ text: Substring, quotes: Bool, line: String) throws -> String {
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                if quotes && scalar == "\"" { throw Malformed(line: line, problem: "not escaped") }
                result.append(scalar)
                continue
            }
            switch rest.popFirst() {
            case "\\": result.append("\\")
            case "n": result.append("\n")
            case "\"" where quotes: result.append("\"")
            default: throw Malformed(line: line, problem: "no such escape")
            }
        }
        return String(result)
    }

    private static func sample(_ line: String) throws -> Sample {
        var rest = line.unicodeScalars[...]
        /// Takes everything up to one of the ends, which must be there.
        func take(until isEnd: (Unicode.Scalar) -> Bool) throws -> Substring {
            guard let end = rest.firstIndex(where: isEnd) else { throw Malformed(line: line, problem: "it is cut") }
            defer { rest = rest[end...] }
            return Substring(rest[..<end])
        }
        func skip(_ text: String) throws {
            guard rest.starts(with: text.unicodeScalars) else {
                throw Malformed(line: line, problem: "expected \(text)")
            }
            rest = rest.dropFirst(text.unicodeScalars.count)
        }
        let name = try take { $0 == "{" || $0 == " " }
        guard isName(name, colons: true) else { throw Malformed(line: line, problem: "no metric name") }
        var labels: [String: String] = [:]
        if rest.first == "{" {
            repeat {
                rest.removeFirst()
                let label = try take { $0 == "=" }
                guard isName(label, colons: false), labels[String(label)] == nil else {
                    throw Malformed(line: line, problem: "no label name, or twice")
                }
                try skip("=\"")
                var isEscaped = false
                let value = try take { scalar in
                    if scalar == "\"", !isEscaped { return true }
                    isEscaped = scalar == "\\" && !isEscaped
                    return false
                }
                labels[String(label)] = try unescaped(value, quotes: true, line: line)
                try skip("\"")
            } while rest.first == ","
            try skip("}")
        }
        try skip(" ")
        guard let value = number(String(rest)) else { throw Malformed(line: line, problem: "no value") }
        return Sample(name: String(name), labels: labels, value: value)
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "NaN": .nan
        case "+Inf": .infinity
        case "-Inf": -.infinity
        default: text.utf8.allSatisfy { "0123456789+-.e".utf8.contains($0) } ? Double(text) : nil
        }
    }

    private static func checkHistogram(_ name: String, _ samples: [Sample]) throws {
        let groups = Dictionary(grouping: samples) { $0.labels.filter { $0.key != "le" } }
        for (labels, group) in groups {
            let buckets = group.filter { $0.name == name + "_bucket" }
            let bounds = buckets.map { number($0.labels["le"] ?? "") ?? .nan }
            let counts = buckets.map(\.value)
            let total = group.first { $0.name == name + "_count" }?.value
            guard bounds.last == .infinity, zip(bounds, bounds.dropFirst()).allSatisfy(<),
                zip(counts, counts.dropFirst()).allSatisfy(<=), counts.last == total,
                group.contains(where: { $0.name == name + "_sum" }), group.count == buckets.count + 2
            else { throw Malformed(line: "\(name) \(labels)", problem: "no histogram") }
        }
    }
}
