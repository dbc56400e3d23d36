/// Reads `KEY=value` lines: blank lines and those that begin with `#` are passed over, blanks around key and value too.
/// - Parameter path: names the file in errors, which never show a value.
package func keyValueLines(_ text: String, path: String) throws(ConfigurationError) -> [(key: String, value: String)] {
    var pairs: [(key: String, value: String)] = []
    // To Swift, CR LF is one character.
    let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for (index, line) in lines.enumerated() {
        let content = line.trimmingSpaces
        if content.isEmpty || content.hasPrefix("#") { continue }
        guard let equals = content.firstIndex(of: "=") else {
            throw ConfigurationError("\(path), line \(index + 1): expected KEY=value")
        }
        let value = content[content.index(after: equals)...].trimmingSpaces
        pairs.append((String(content[..<equals].trimmingSpaces), String(value)))
    }
    return pairs
}
