import Foundation
import Kafka
import LocalServers
import TestSupport

/// A test's topics, for trades, for events and for alerts: in a `dev-broker` of its own, or in the real Kafka that `KAFKA_HOME` names.
package struct Broker: Sendable {
    package static let kafkaHome = ProcessInfo.processInfo.environment["KAFKA_HOME"].flatMap { $0.isEmpty ? nil : $0 }

    /// The real broker that all tests of the process share.
    private static let shared = Task { () throws -> KafkaServer? in
        guard let kafkaHome else { return nil }
        let server = try KafkaServer(home: try KafkaHome(path: kafkaHome))
        try await server.start()
        return server
    }

    package let bootstrap: String
    package let topic: String
    package var eventsTopic: String { Self.events(of: topic) }
    package var alertsTopic: String { Self.alerts(of: topic) }
    /// The embedded broker's program; nil with a real Kafka.
    package let program: RunningProgram?

    package init(partitions: Int = 2) async throws {
        let topic = "trades-\(UUID().uuidString.prefix(8).lowercased())"
        self.topic = topic
        if let server = try await Self.shared.value {
            program = nil
            let bootstrap = server.bootstrapServers
            self.bootstrap = bootstrap
            try await onThread {
                let client = try KafkaClient(settings: .client(bootstrapServers: bootstrap))
                for name in [topic, Self.events(of: topic), Self.alerts(of: topic)] {
                    _ = try KafkaAdmin(client).createTopic(name, partitions: partitions, replication: 1)
                }
            }
            return
        }
        let program = try RunningProgram(
            "dev-broker",
            [
                "--partitions", String(partitions),
                "--topics", "\(topic),\(Self.events(of: topic)),\(Self.alerts(of: topic))",
            ])
        try await program.waitForLog("kafka.bootstrap=")
        guard let bootstrap = program.log.firstMatch(of: /kafka\.bootstrap=([0-9.:]+)/)?.1 else {
            throw TestFailure("no address of the broker\n\(program.lastLines)")
        }
        (self.program, self.bootstrap) = (program, String(bootstrap))
    }

    private static func events(of topic: String) -> String { "\(topic)-events" }
    private static func alerts(of topic: String) -> String { "\(topic)-alerts" }

    /// The options of a program that uses the topics: the KPI service has no use for events, and is alone with alerts.
    package func arguments(of program: String) -> [String] {
        ["--kafka-bootstrap-servers", bootstrap, "--trades-topic", topic]
            + (program == "kpi-service" ? ["--alerts-topic", alertsTopic] : ["--events-topic", eventsTopic])
    }

    /// The group of a program that reads the topic of trades: the topic's own, for a real Kafka keeps groups from test to
    /// test.
    package func group(of program: String) -> String { "\(program)-\(topic)" }

    /// What the log of a real broker says of a group so far, line by line; nothing with the embedded one, which has no log.
    package func log(ofGroup group: String) async throws -> [String] {
        guard let server = try await Self.shared.value else { return [] }
        return try String(contentsOfFile: server.logFile, encoding: .utf8).split(separator: "\n")
            .filter { $0.contains(" group \(group) ") }.map(String.init)
    }

    /// How many records a topic holds: that of the trades unless told otherwise.
    package func recordCount(of topic: String? = nil, partitions: Int = 2) async throws -> Int {
        try await onThread { [bootstrap, topic = topic ?? self.topic] in
            let client = try KafkaClient(settings: .client(bootstrapServers: bootstrap))
            return try (0..<Int32(partitions)).reduce(0) { sum, partition in
                let place = TopicPartition(topic: topic, partition: partition)
                return sum + Int(try client.watermarks(place, timeout: hangLimit).high)
            }
        }
    }

    /// What the records of the topic of events hold.
    package func events(partitions: Int = 2) async throws -> [String] {
        try await onThread { [bootstrap, eventsTopic] in
            let consumer = try KafkaConsumer(settings: .consumer(bootstrapServers: bootstrap, group: eventsTopic))
            let places = (0..<Int32(partitions)).map { TopicPartition(topic: eventsTopic, partition: $0) }
            let ends = try places.map { Int(try consumer.watermarks($0, timeout: hangLimit).high) }
            try consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, 0) }))
            var events: [String] = []
            try eventually("all events are read") {
                switch consumer.poll(milliseconds: 100) {
                case .record(let record): events.append(String(decoding: record.value, as: UTF8.self))
                case .failure(let error, _): throw error
                default: break
                }
                return events.count == ends.reduce(0, +)
            }
            return events
        }
    }

    /// An address at which nobody listens.
    package static func absent() throws -> String { "127.0.0.1:\(try FreePort.find())" }
}
