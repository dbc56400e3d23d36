import Testing

@testable import ServiceKit

struct ConfigurationFileTests {
    private static let topic = Setting<String>("kafka-topic", default: "trades", help: "")
    private static let batch = Setting<Int>("batch-size", default: "100", help: "")
    private static let file = Setting<String>("config-file", help: "")

    private static func read(_ text: String) throws -> Configuration {
        try Configuration(
            settings: [topic, batch, file], flags: [.init(name: "config-file", value: "x.env")], environment: [:],
            readFile: { _ in text })
    }

    @Test func `comments, empty lines and spaces are left out`() throws {
        let configuration = try Self.read("# a comment\n\n  # another = one\n\t KAFKA_TOPIC = a b \n\nBATCH_SIZE=7")
        #expect(configuration[Self.topic] == "a b")
        #expect(configuration[Self.batch] == 7)
    }

    @Test func `CR LF ends a line like LF`() throws {
        let configuration = try Self.read("KAFKA_TOPIC=first\r\nBATCH_SIZE=7\r\n\r\n")
        #expect(configuration[Self.topic] == "first")
        #expect(configuration[Self.batch] == 7)
    }

    @Test(arguments: [
        (#""a b""#, "a b"), ("'a b'", "a b"), (#""a"b""#, #"a"b"#), (#"""#, #"""#), ("'a", "'a"), (#"a""#, #"a""#),
        ("a=b=c", "a=b=c"), ("a # b", "a # b"), (#"" a ""#, " a "),
    ])
    func `a pair of quotes around a value goes`(written: String, value: String) throws {
        #expect(try Self.read("KAFKA_TOPIC=\(written)")[Self.topic] == value)
    }

    @Test func `an empty value counts as unset, and the last line of a key holds`() throws {
        #expect(try Self.read("KAFKA_TOPIC=\nBATCH_SIZE=\"\"")[Self.topic] == "trades")
        #expect(try Self.read("BATCH_SIZE=\"\"")[Self.batch] == 100)
        #expect(try Self.read("BATCH_SIZE=1\nBATCH_SIZE=2")[Self.batch] == 2)
    }

    @Test func `keys of other programs are left alone`() throws {
        #expect(try Self.read("FEED_TOKEN=x\nkafka-topic=y\nBATCH_SIZE=3")[Self.batch] == 3)
    }

    @Test(arguments: ["\n", "\r\n"])
    func `a line without an equals sign is an error that names file and line, not its text`(lineEnd: String) {
        let lines = ["# comment", "BATCH_SIZE=1", "hunter2", "KAFKA_TOPIC=x"]
        #expect(
            message { _ = try Self.read(lines.joined(separator: lineEnd)) } == "x.env, line 3: expected KEY=value")
    }
}
