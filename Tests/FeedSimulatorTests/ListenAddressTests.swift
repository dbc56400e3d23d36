import Testing

@testable import FeedSimulator

struct ListenAddressTests {
    @Test func `An address and a port are read and written for clients`() throws {
        let plain = try #require(ListenAddress(settingText: "127.0.0.1:8765"))
        #expect(plain == ListenAddress(host: "127.0.0.1", port: 8765))
        #expect(plain.url(port: 8765) == "ws://127.0.0.1:8765")
        let six = try #require(ListenAddress(settingText: "[::1]:0"))
        #expect(six == ListenAddress(host: "::1", port: 0))
        #expect(six.url(port: 4711) == "ws://[::1]:4711")
    }

    @Test(arguments: ["", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:x", "[]:1"])
    func `Anything else is refused`(text: String) {
        #expect(ListenAddress(settingText: text) == nil)
    }
}
