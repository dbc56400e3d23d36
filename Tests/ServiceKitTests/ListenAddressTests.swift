import Testing

@testable import ServiceKit

struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:9101", "127.0.0.1", 9101), ("0.0.0.0:0", "0.0.0.0", 0), ("[::1]:65535", "::1", 65535),
        ("[::]:80", "::", 80),
    ])
    func `host and port are read, and written back`(text: String, host: String, port: UInt16) throws {
        let address = try #require(ListenAddress(settingText: text))
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", ":", "127.0.0.1", "127.0.0.1:", ":9101", "9101", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http",
        "localhost:9101", "::1:9101", "[127.0.0.1]:9101", "[::1]", "[]:1", "127.0.0.1:9101 ", "127.1:9101",
    ])
    func `what is no address and port is refused`(text: String) {
        #expect(ListenAddress(settingText: text) == nil)
    }

    @Test func `an error shows an example`() {
        let setting = Setting<ListenAddress>("listen", help: "")
        #expect(
            setting.problem(with: "9101")?.hasPrefix("must be host:port such as 127.0.0.1:9101") == true)
    }

    @Test func `what can be switched off is off, a value or an error`() throws {
        let setting = MonitoringService.listenSetting(default: "127.0.0.1:9101")
        func read(_ environment: [String: String]) throws -> ListenAddress? {
            try Configuration(settings: [setting], flags: [], environment: environment)[setting]
        }
        #expect(try read([:])?.description == "127.0.0.1:9101")
        #expect(try read(["MONITORING_LISTEN": "Off"]) == nil)
        #expect(try read(["MONITORING_LISTEN": "[::1]:0"])?.host == "::1")
        let error = message { _ = try read(["MONITORING_LISTEN": "on"]) }
        #expect(error?.hasPrefix("MONITORING_LISTEN is 'on': must be host:port such as 127.0.0.1:9101") == true)
        #expect(error?.hasSuffix(", or off") == true)
    }
}
