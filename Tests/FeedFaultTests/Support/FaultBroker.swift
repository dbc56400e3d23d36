import Foundation
import Kafka
import LocalServers
import ProgramTestSupport
import TestSupport

/// The broker of all scenarios, with a topic of trades and one of events for each: a `dev-broker`, or the real Kafka that
/// `KAFKA_HOME` names.
struct FaultBroker: Sendable {
    /// A topic for each scenario, so that all of them can be played at a time.
    struct Topics: Sendable {
        let trades: String
        let events: String
    }

    static let shared = Task { try await FaultBroker(scenarios: Scenarios.names) }

    let bootstrap: String
    /// What ends with this process.
    private let program: RunningProgram?
    private let server: KafkaServer?

    private init(scenarios: [String]) async throws {
        let names = scenarios.map(Self.topics).flatMap { [$0.trades, $0.events] }
        if let home = ProcessInfo.processInfo.environment["KAFKA_HOME"], !home.isEmpty {
            let server = try KafkaServer(home: try KafkaHome(path: home))
            try await server.start()
            let bootstrap = server.bootstrapServers
            try await onThread {
                let admin = KafkaAdmin(try KafkaClient(settings: .client(bootstrapServers: bootstrap)))
                for name in names { _ = try admin.createTopic(name, partitions: 1, replication: 1) }
            }
            (self.bootstrap, self.server, program) = (bootstrap, server, nil)
        } else {
            let program = try RunningProgram(
                "dev-broker", ["--partitions", "1", "--topics", names.joined(separator: ",")])
            try await program.waitForLog("kafka.bootstrap=")
            guard let address = program.log.firstMatch(of: /kafka\.bootstrap=([0-9.:]+)/)?.1 else {
                throw TestFailure("no address of the broker\n\(program.lastLines)")
            }
            (bootstrap, self.program, server) = (String(address), program, nil)
        }
    }

    /// The topics of a scenario: one partition each, so that everything stands in the order in which it was published.
    static func topics(of scenario: String) -> Topics {
        Topics(trades: "trades.\(scenario)", events: "events.\(scenario)")
    }

    /// How many records a topic has had.
    func recordCount(of topic: String) async throws -> Int {
        try await onThread { [bootstrap] in
            let client = try KafkaClient(settings: .client(bootstrapServers: bootstrap))
            return Int(try client.watermarks(TopicPartition(topic: topic, partition: 0), timeout: hangLimit).high)
        }
    }
}
