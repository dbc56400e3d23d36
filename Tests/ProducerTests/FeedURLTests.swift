import Testing

@testable import Producer
@testable import WebSocket

@Suite struct FeedURLTests {
    @Test func `the token goes into the query, percent-encoded`() throws {
        #expect(try feedURL("wss://ws.finnhub.io", token: "abc-DEF_1.2~").target == "/?token=abc-DEF_1.2~")
        #expect(try feedURL("wss://host/path?x=1", token: "t").target == "/path?x=1&token=t")
        #expect(try feedURL("wss://host", token: "a b&c=d?e#f%g/+").target == "/?token=a%20b%26c%3Dd%3Fe%23f%25g%2F%2B")
        #expect(try feedURL("wss://host", token: "\u{1}ü\r\n").target == "/?token=%01%C3%BC%0D%0A")
    }

    @Test func `without a token the address stays as it is`() throws {
        #expect(try feedURL("ws://127.0.0.1:8080/feed", token: "") == WebSocketURL("ws://127.0.0.1:8080/feed"))
    }

    @Test func `no description and no error shows the token`() throws {
        let url = try feedURL("wss://host/path", token: "hidden")
        #expect(url.description == "wss://host:443")
        #expect {
            _ = try feedURL("http://host", token: "hidden")
        } throws: { error in
            !"\(error)".contains("hidden")
        }
    }
}
