import Testing

@testable import WebSocket

struct URLTests {
    @Test(arguments: [
        ("wss://ws.finnhub.io?token=abc", "wss://ws.finnhub.io:443", "ws.finnhub.io", "/?token=abc"),
        ("ws://localhost", "ws://localhost:80", "localhost", "/"),
        ("ws://127.0.0.1:8080/a/b?c=d#e", "ws://127.0.0.1:8080", "127.0.0.1:8080", "/a/b?c=d"),
        ("wss://h:443/x", "wss://h:443", "h", "/x"), ("ws://[::1]:9/", "ws://[::1]:9", "[::1]:9", "/"),
    ])
    func `A URL is taken apart and described without path and query`(
        text: String, description: String, hostHeader: String, target: String
    ) throws {
        let url = try WebSocketURL(text)
        #expect(url.description == description)
        #expect(url.hostHeader == hostHeader)
        #expect(url.target == target)
    }

    @Test(arguments: [
        "", "http://h/?token=s3cret", "ws://", "ws://:80", "ws://h:0", "ws://h:70000?token=s3cret", "ws://h:a",
        "ws://u:p@h", "ws://h/ a", "ws://h/\r\nX: y", "ws://[::1", "ws://[::1]x", "ws://h/\u{E9}",
    ])
    func `A URL that cannot be used is refused without being repeated`(text: String) {
        let error = #expect(throws: WebSocketError.self) { try WebSocketURL(text) }
        #expect(error?.code == .invalidURL)
        #expect(error?.isFatal == true)
        #expect(error?.message.contains("s3cret") == false)
    }
}
