import Foundation
import LocalServers
import Testing

/// The distribution that `KAFKA_HOME` names.
private let home = ProcessInfo.processInfo.environment["KAFKA_HOME"].flatMap { try? KafkaHome(path: $0) }

@Suite(
    .serialized, .enabled(if: home != nil, "needs a real Kafka: set KAFKA_HOME to an unpacked distribution"),
    .timeLimit(.minutes(10)))
struct KafkaServerTests {
    @Test func `a broker starts, answers, and keeps its data over a stop and a kill`() async throws {
        let server = try KafkaServer(home: try #require(home))
        try await server.start()
        try await topics(server, ["--create", "--topic", "kept", "--partitions", "3"])
        await server.stop()
        #expect(server.pid == nil)
        #expect(!FreePort.accepts(server.port))

        try await server.start()
        await server.kill()
        try await server.start()
        #expect(try await topics(server, ["--describe", "--topic", "kept"]).contains("PartitionCount: 3"))
        await server.stop()
        // Nothing of it lies elsewhere.
        #expect(FileManager.default.fileExists(atPath: "\(server.directory)/data/meta.properties"))
    }

    @Test func `a broker moves to other ports with its data`() async throws {
        let folder = try TemporaryDirectory()
        let first = try KafkaServer(home: try #require(home), directory: "\(folder.path)/kafka")
        try await first.start()
        try await topics(first, ["--create", "--topic", "moved", "--partitions", "2"])
        await first.stop()
        let second = try KafkaServer(home: try #require(home), directory: "\(folder.path)/kafka")
        #expect(second.port != first.port)
        try await second.start()
        #expect(try await topics(second, ["--describe", "--topic", "moved"]).contains("PartitionCount: 2"))
        await second.stop()
    }

    @Test func `a broker that cannot start is an error that shows its own words`() async throws {
        let server = try KafkaServer(home: try #require(home), settings: ["process.roles": "nonsense"])
        await #expect {
            try await server.start()
        } throws: { error in
            "\(error)".contains("process.roles")
        }
        #expect(server.pid == nil)
    }

    @discardableResult
    private func topics(_ server: KafkaServer, _ arguments: [String]) async throws -> String {
        try await ChildProcess.run(
            server.home.program("kafka-topics.sh"), ["--bootstrap-server", server.bootstrapServers] + arguments)
    }
}
