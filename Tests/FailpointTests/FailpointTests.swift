import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import Testing

/// Readers that fail at each point of the way from the topic into the tables, with the first, a middle and the last batch.
@Suite(.timeLimit(.minutes(10))) struct FailpointTests {
    @Test(arguments: FailureCase.all(.crash))
    func `a reader that crashes loses and doubles nothing`(_ failure: FailureCase) async throws {
        try await FailureRun.play(failure)
    }

    @Test(
        .enabled(if: Broker.kafkaHome != nil, "the embedded broker does not survive members that stop"),
        arguments: FailureCase.all(.stop))
    func `a reader that stands still until another has taken over stores nothing of its own`(
        _ failure: FailureCase
    ) async throws {
        try await FailureRun.play(failure)
    }

    @Test(arguments: FailureCase.all(.cut))
    func `a reader that loses its connection goes on from the database`(_ failure: FailureCase) async throws {
        try await FailureRun.play(failure)
    }

    @Test(arguments: FailureCase.all(.spoil))
    func `a transaction that failed unnoticed is not taken for committed`(_ failure: FailureCase) async throws {
        try await FailureRun.play(failure)
    }

    /// As in a topic that was deleted and made anew.
    @Test func `a reader does not go on behind a record that is not the one it stored last`() async throws {
        try await FailureRun.playOtherRecord()
    }

    @Test func `a reader never lets Kafka choose where to begin`() async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let directory = try TemporaryDirectory(prefix: "tickstream-failpoint")
        // Kafka's client tells how it is set up.
        try "debug=conf\n".write(toFile: "\(directory.path)/kafka.properties", atomically: true, encoding: .utf8)
        let reader = try RunningProgram.reader(
            "consumer", broker, database.url,
            ["--kafka-properties-file", "\(directory.path)/kafka.properties", "--log-level", "debug"])
        try await reader.waitForLog("auto.offset.reset = error")
        try await reader.waitForLog("enable.auto.commit = false")
        try await reader.stop()
    }
}
