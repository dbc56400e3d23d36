import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct CheckTests {
    private static func check(
        _ program: String, _ arguments: [String], _ databaseURL: String
    ) async throws -> RunningProgram.Ended {
        let environment = program == "producer" ? [:] : ["DATABASE_URL": databaseURL]
        return try await RunningProgram.run(program, ["check"] + arguments, environment)
    }

    /// Status 1, and one line that names what is wrong.
    private static func expectFailure(_ ended: RunningProgram.Ended, _ words: String...) {
        #expect(ended.status == .exited(1), "\(ended)")
        let line = ended.errors.split(separator: "\n").first { $0.contains(" critical ") } ?? ""
        for words in words { #expect(line.contains(words), "\(ended)") }
    }

    @Test func `all is well`() async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let (simulator, url) = try await RunningProgram.simulator([], ["FEED_TOKEN": "a key"])
        for program in ["producer"] + RunningProgram.readers {
            let feed = program == "producer" ? ["--feed-url", url] : []
            let ended = try await Self.check(program, broker.arguments(of: program) + feed, database.url)
            #expect(ended.status == .exited(0), "\(ended)")
            #expect(ended.errors.contains("kafka.topic=\(broker.topic) kafka.partitions=2"), "\(ended)")
            if program == "producer" { #expect(ended.errors.contains("the feed answers"), "\(ended)") }
        }
        try await simulator.stop()
    }

    @Test func `the feed is away`() async throws {
        let broker = try await Broker()
        let address = try Broker.absent()
        let ended = try await Self.check(
            "producer", broker.arguments(of: "producer") + ["--feed-url", "ws://\(address)"], "")
        Self.expectFailure(ended, "the feed does not answer", "ws://\(address)", "no TCP connection")
    }

    @Test(arguments: RunningProgram.readers)
    func `PostgreSQL is away`(_ reader: String) async throws {
        let address = try Broker.absent()
        let ended = try await Self.check(
            reader, ["--kafka-bootstrap-servers", try Broker.absent()], "postgresql://someone@\(address)/there")
        let port = try #require(address.split(separator: ":").last)
        Self.expectFailure(ended, "127.0.0.1", "port \(port)", "Connection refused")
    }

    @Test(arguments: RunningProgram.readers)
    func `the password is wrong`(_ reader: String) async throws {
        let database = try await TestDatabase()
        let ended = try await Self.check(
            reader, ["--kafka-bootstrap-servers", try Broker.absent()], try database.url(password: "not-the-one"))
        Self.expectFailure(ended, "port=", "password authentication failed for user \\\"postgres\\\"")
        #expect(!ended.errors.contains("not-the-one"))
    }

    @Test(arguments: RunningProgram.readers)
    func `the schema is missing`(_ reader: String) async throws {
        let database = try await TestDatabase(migrated: false)
        let ended = try await Self.check(reader, ["--kafka-bootstrap-servers", try Broker.absent()], database.url)
        Self.expectFailure(ended, "the database has no schema yet: run `consumer migrate`")
    }

    @Test(arguments: ["producer"] + RunningProgram.readers)
    func `Kafka is away`(_ program: String) async throws {
        let database = try await TestDatabase()
        let address = try Broker.absent()
        let ended = try await Self.check(program, ["--kafka-bootstrap-servers", address], database.url)
        Self.expectFailure(ended, address)
    }

    @Test(
        .enabled(if: Broker.kafkaHome != nil, "the embedded broker makes the topics that it is asked for"),
        arguments: ["producer"] + RunningProgram.readers)
    func `the topic does not exist`(_ program: String) async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let ended = try await Self.check(
            program, ["--kafka-bootstrap-servers", broker.bootstrap, "--trades-topic", "no-such-topic"], database.url)
        Self.expectFailure(ended, "no-such-topic", broker.bootstrap, "UNKNOWN_TOPIC_OR_PART")
    }
}
