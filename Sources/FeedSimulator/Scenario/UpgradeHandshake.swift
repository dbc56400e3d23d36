internal import CSSL

/// A client's request to open a WebSocket.
struct UpgradeHandshake {
    /// The most bytes that a request may have.
    static let maxBytes = 16 << 10

    /// The value of Sec-WebSocket-Key; nil when this is no request for a WebSocket.
    let key: String?
    /// The token in the query; empty when there is none.
    let token: String

    /// Takes a request's head apart.
    init(_ head: some Sequence<UInt8>) {
        let lines = String(decoding: Array(head), as: UTF8.self).split(separator: "\r\n")
        let target = lines.first?.split(separator: " ").dropFirst().first ?? ""
        let query = target.drop { $0 != "?" }.dropFirst().split(separator: "&")
        token = query.first { $0.hasPrefix("token=") }.map { String($0.dropFirst("token=".count)) } ?? ""
        let name = "sec-websocket-key:"
        key = lines.first { $0.lowercased().hasPrefix(name) }.map { line in
            String(line.dropFirst(name.count).filter { $0 != " " })
        }
    }

    /// The response that accepts a key.
    static func acceptance(ofKey key: String) -> String {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(hash(ofKey: key))\r\n\r\n"
    }

    /// What proves that the server has read the key: RFC 6455, section 1.3.
    static func hash(ofKey key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        SHA1(text, text.count, &digest)
        var base64 = [UInt8](repeating: 0, count: 29)
        let count = EVP_EncodeBlock(&base64, digest, Int32(digest.count))
        return String(decoding: base64[..<Int(count)], as: UTF8.self)
    }

    /// An HTTP response that is complete and closes the connection.
    static func response(_ answer: ScenarioStep.Answer) -> String {
        let body = "\(reasons[answer.status] ?? "Status \(answer.status)")\n"
        var head = "HTTP/1.1 \(answer.status) \(body.dropLast())\r\n"
        head += "Content-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n"
        if let location = answer.location { head += "Location: \(location)\r\n" }
        if let seconds = answer.retryAfter { head += "Retry-After: \(seconds)\r\n" }
        return head + "\r\n" + body
    }

    private static let reasons = [
        200: "OK", 301: "Moved Permanently", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
        429: "Too Many Requests", 503: "Service Unavailable", 524: "A Timeout Occurred",
    ]
}
