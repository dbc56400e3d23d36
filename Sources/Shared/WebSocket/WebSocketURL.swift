/// A `ws://` or `wss://` address, taken apart. Its description names scheme, host and port only: a query may carry a token.
package struct WebSocketURL: Sendable, Equatable, CustomStringConvertible {
    /// Whether the connection runs over TLS (`wss`).
    package let isSecure: Bool
    /// The host's name or address; an IPv6 address stands here without its brackets.
    package let host: String
    /// The port, 80 or 443 when the text names none.
    package let port: UInt16
    /// Path and query as sent in the request line. Secret.
    let target: String

    /// Takes `scheme://host[:port][/path][?query]` apart.
    ///
    /// - Throws: ``WebSocketError`` with code `invalidURL`, whose message does not repeat the text.
    package init(_ text: String) throws(WebSocketError) {
        func invalid(_ what: String) -> WebSocketError {
            WebSocketError(
                code: .invalidURL, message: "the WebSocket URL \(what); it must look like wss://host[:port]/path?query")
        }
        let rest: Substring
        if text.hasPrefix("wss://") {
            isSecure = true
            rest = text.dropFirst(6)
        } else if text.hasPrefix("ws://") {
            isSecure = false
            rest = text.dropFirst(5)
        } else {
            throw invalid("does not start with ws:// or wss://")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw invalid("holds a space, a control or a non-ASCII character")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else { throw invalid("holds a user name, which is not supported") }
        let portText: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else {
                throw invalid("has an IPv6 address without a closing ]")
            }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { throw invalid("has text after the IPv6 address") }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = String(parts.first ?? "")
            portText = parts.count > 1 ? parts[1] : nil
        }
        guard !host.isEmpty else { throw invalid("names no host") }
        if let portText {
            guard let number = UInt16(portText), number > 0 else { throw invalid("has a port that is not 1 to 65535") }
            port = number
        } else {
            port = isSecure ? 443 : 80
        }
        let target = rest.dropFirst(authority.count).prefix { $0 != "#" }
        self.target = target.first == "/" ? String(target) : "/" + target
    }

    package var description: String {
        "\(isSecure ? "wss" : "ws")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// What the request's Host header says: the port only where it is not the scheme's own.
    var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }
}
