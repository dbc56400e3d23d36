import ProgramTestSupport
import TestSupport

extension RunningProgram {
    static func producer(
        _ broker: Broker, feed: String, _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            "producer", broker.arguments(of: "producer") + ["--feed-url", feed] + arguments, environment)
    }

    /// Waits until a reader has stored so many records; a failure shows both logs.
    func waitUntilStored(atLeast count: Int = 1, from producer: RunningProgram) async throws {
        do {
            try await wait(for: "\(count) records to be stored") {
                try await metric("records_stored_total") >= Double(count)
            }
        } catch {
            throw TestFailure("\(error)\n\(producer.lastLines)")
        }
    }
}
