internal import CLibwebsockets

/// An HTTP response as a server here gives it: complete, and the connection is closed after it.
package struct HTTPResponse: Sendable {
    /// The status code, 100 to 599.
    package var status: Int
    /// The media type of the body.
    package var contentType: String
    /// Headers besides Content-Type, Content-Length and Connection.
    package var headers: [(name: String, value: String)]
    /// The body's bytes.
    package var body: [UInt8]

    /// A response with a body of bytes.
    package init(
        status: Int, contentType: String = "text/plain; charset=utf-8", headers: [(name: String, value: String)] = [],
        body: [UInt8] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    /// A response with a body of text.
    package init(
        status: Int, contentType: String = "text/plain; charset=utf-8", headers: [(name: String, value: String)] = [],
        text: String
    ) {
        self.init(status: status, contentType: contentType, headers: headers, body: Array(text.utf8))
    }

    /// Writes the response; libwebsockets sends the rest of what the socket does not take at once.
    ///
    /// - Returns: what the callback returns in turn, so that the connection is closed when all is sent.
    func write(to wsi: OpaquePointer, withBody: Bool = true) -> Int32 {
        var head = "HTTP/1.1 \(status) \(Self.phrases[status] ?? "")\r\n"
        head += "Content-Type: \(contentType)\r\nContent-Length: \(body.count)\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        var bytes = Array((head + "\r\n").utf8)
        if withBody { bytes += body }
        _ = lws_write(wsi, &bytes, bytes.count, LWS_WRITE_HTTP)
        return -1
    }

    private static let phrases = [
        200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 426: "Upgrade Required", 429: "Too Many Requests", 500: "Internal Server Error",
        503: "Service Unavailable",
    ]
}
