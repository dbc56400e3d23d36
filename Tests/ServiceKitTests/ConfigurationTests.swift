import Testing

@testable import ServiceKit

struct ConfigurationTests {
    private static let topic = Setting<String>("kafka-topic", default: "trades", help: "The topic.")
    private static let batch = Setting<Int>("batch-size", default: "100", unit: "records", help: "The batch.") {
        $0 > 0 ? nil : "must be above 0"
    }
    private static let dryRun = Setting<Bool>("dry-run", default: "false", help: "Whether to write nothing.")
    private static let file = Setting<String>("config-file", help: "A file.")
    private static let settings: [any AnySetting] = [topic, batch, dryRun, file]

    private static func read(
        _ flags: [(String, String?)] = [], _ environment: [String: String] = [:], file: String = ""
    ) throws -> Configuration {
        try Configuration(
            settings: settings, flags: flags.map { Configuration.Flag(name: $0.0, value: $0.1) },
            environment: environment,
            readFile: { path in
                guard path == "/etc/x.env" else { throw SystemError("cannot read '\(path)'") }
                return file
            })
    }

    @Test func `a flag goes before the environment, that before the file, that before the default`() throws {
        let flags: [(String, String?)] = [("kafka-topic", "flag")]
        let inFile = ["CONFIG_FILE": "/etc/x.env"]
        let everywhere = ["CONFIG_FILE": "/etc/x.env", "KAFKA_TOPIC": "environment"]
        let file = "KAFKA_TOPIC=file"
        #expect(try Self.read(flags, everywhere, file: file)[Self.topic] == "flag")
        #expect(try Self.read([], everywhere, file: file)[Self.topic] == "environment")
        #expect(try Self.read([], inFile, file: file)[Self.topic] == "file")
        #expect(try Self.read()[Self.topic] == "trades")
    }

    @Test func `the last of several equal flags holds`() throws {
        #expect(try Self.read([("batch-size", "1"), ("batch-size", "2")])[Self.batch] == 2)
    }

    @Test func `an empty environment variable counts as unset`() throws {
        let configuration = try Self.read([], ["KAFKA_TOPIC": "", "BATCH_SIZE": "", "CONFIG_FILE": ""])
        #expect(configuration[Self.topic] == "trades")
        #expect(configuration[Self.batch] == 100)
    }

    @Test func `an empty flag is a value`() throws {
        #expect(try Self.read([("kafka-topic", "")], ["KAFKA_TOPIC": "environment"])[Self.topic] == "")
        #expect(message { _ = try Self.read([("batch-size", "")]) }?.contains("--batch-size is ''") == true)
    }

    @Test func `a switch stands alone or takes a value`() throws {
        #expect(try Self.read()[Self.dryRun] == false)
        #expect(try Self.read([("dry-run", nil)])[Self.dryRun] == true)
        #expect(try Self.read([("dry-run", "no")], ["DRY_RUN": "yes"])[Self.dryRun] == false)
    }

    @Test func `an optional setting without a value is nil`() throws {
        #expect(try Self.read()[optional: Self.file] == nil)
        #expect(try Self.read([("config-file", "/etc/x.env")])[optional: Self.file] == "/etc/x.env")
    }

    @Test func `an error names the key, its source and the value`() {
        #expect(
            message { _ = try Self.read([("batch-size", "many")]) }
                == "--batch-size is 'many': must be a whole number (records)")
        #expect(message { _ = try Self.read([], ["BATCH_SIZE": "0"]) } == "BATCH_SIZE is '0': must be above 0")
        #expect(
            message { _ = try Self.read([], ["CONFIG_FILE": "/etc/x.env"], file: "BATCH_SIZE=-1") }
                == "BATCH_SIZE in /etc/x.env is '-1': must be above 0")
    }

    @Test func `a value that another source overrides is not judged`() throws {
        #expect(try Self.read([("batch-size", "5")], ["BATCH_SIZE": "many"])[Self.batch] == 5)
    }

    @Test func `an unknown flag is an error that suggests the nearest one`() {
        #expect(
            message { _ = try Self.read([("kafka-topc", "x")]) }
                == "there is no option --kafka-topc; did you mean --kafka-topic?")
        #expect(message { _ = try Self.read([("postgres-url", "x")]) } == "there is no option --postgres-url")
    }

    @Test func `a flag without its value is an error`() {
        #expect(message { _ = try Self.read([("batch-size", nil)]) } == "--batch-size needs a value: a whole number")
    }

    @Test func `a required setting that is missing is an error with its meaning`() {
        let required = Setting<String>("feed-url", isRequired: true, help: "Where the feed is.")
        let error = message { _ = try Configuration(settings: [required], flags: [], environment: ["FEED_URL": ""]) }
        #expect(error == "--feed-url (or FEED_URL) is missing: Where the feed is.")
    }

    @Test func `a default that its own setting refuses is an error`() {
        let wrong = Setting<Int>("batch", default: "many", help: "")
        let error = message { _ = try Configuration(settings: [wrong], flags: [], environment: [:]) }
        #expect(error == "the default of --batch is 'many': must be a whole number")
    }

    @Test func `a configuration file that cannot be read is an error that names who asked for it`() {
        let asFlag = message { _ = try Self.read([("config-file", "/none")]) }
        #expect(asFlag?.hasPrefix("--config-file: cannot read '/none'") == true)
        let asVariable = message { _ = try Self.read([], ["CONFIG_FILE": "/none"]) }
        #expect(asVariable?.hasPrefix("CONFIG_FILE: cannot read '/none'") == true)
    }
}
