import ProgramTestSupport
import TestSupport

extension RunningProgram {
    static let readers = ["consumer", "kpi-service"]

    static func producer(
        _ broker: Broker, feed: String, _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            "producer", broker.arguments(of: "producer") + ["--feed-url", feed] + arguments, environment)
    }

    /// Starts `consumer` or `kpi-service`.
    static func reader(
        _ name: String, _ broker: Broker, _ databaseURL: String, _ arguments: [String] = [],
        _ environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            name, broker.arguments(of: name) + groupArguments(name, broker) + arguments,
            environment.merging(["DATABASE_URL": databaseURL]) { given, _ in given })
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

    /// A group of the topic's own: a real Kafka keeps groups from test to test.
    private static func groupArguments(_ name: String, _ broker: Broker) -> [String] {
        [name == "consumer" ? "--consumer-group" : "--kpi-group", "\(name)-\(broker.topic)"]
    }
}
