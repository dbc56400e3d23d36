import ServiceKit
import Testing
import WebSocket

@testable import Producer

@Suite struct ProducerOptionsTests {
    private static func configuration(_ name: String, _ value: String) throws -> Configuration {
        try Configuration(
            settings: ProducerOptions.all,
            flags: [
                Configuration.Flag(name: "kafka-bootstrap-servers", value: "localhost:9092"),
                Configuration.Flag(name: name, value: value),
            ],
            environment: [:])
    }

    @Test func `the idle timeout becomes the client's`() throws {
        let client = try clientConfiguration(Self.configuration("feed-idle-timeout", "97"))
        #expect(client.idleTimeout == .seconds(97))
        #expect(try clientConfiguration(Self.configuration("source-id", "a")).idleTimeout == .seconds(120))
    }

    @Test(arguments: [
        ("feed-idle-timeout", "9", "from 10"), ("feed-idle-timeout", "86401", "to 86400"),
        ("symbols", " , ", "at least one symbol"), ("symbols", String(repeating: "x", count: 48), "at most 47 bytes"),
        ("symbols", (0...1000).map(String.init).joined(separator: ","), "at most 1000 symbols"),
    ])
    func `what no feed can take is a mistake`(name: String, value: String, problem: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.configuration(name, value) }
        #expect(error?.description.contains(problem) == true)
    }
}
