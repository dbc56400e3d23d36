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
}
