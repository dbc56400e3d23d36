import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct StopTests {
    @Test func `idle programs stop on SIGTERM`() async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let (simulator, _) = try await RunningProgram.simulator()
        let producer = try RunningProgram.producer(broker, feed: "ws://\(try Broker.absent())")
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        try await producer.waitForLog("the feed is disconnected")
        for reader in readers { try await reader.waitForReadiness(200) }

        for program in readers + [producer, simulator] + (broker.program.map { [$0] } ?? []) {
            try await program.stop()
            #expect(program.log.split(separator: "\n").last?.hasSuffix(": stopped") == true, "\(program.lastLines)")
        }
    }

    @Test func `programs stop on SIGTERM in mid-stream`() async throws {
        let broker = try await Broker()
        let database = try await TestDatabase()
        let (simulator, url) = try await RunningProgram.simulator(["--rate", "2000"])
        let readers = try RunningProgram.readers.map { try RunningProgram.reader($0, broker, database.url) }
        let producer = try RunningProgram.producer(broker, feed: url)
        for reader in readers { try await reader.waitUntilStored(from: producer) }
        for program in readers + [producer, simulator] + (broker.program.map { [$0] } ?? []) {
            try await program.stop()
        }
        #expect(
            producer.log.contains("spool.records=0\n") && producer.log.contains(": published"), "\(producer.lastLines)")
    }

    @Test func `programs that wait for Kafka say so, are not ready, and stop on SIGTERM`() async throws {
        let programs = try await Self.waitingForKafka()
        for program in programs {
            let problem = try await program.waitForReadiness(503)
            #expect(
                problem.hasPrefix(program.name == "producer" ? "kafka: not reached" : "partitions: none is claimed"))
            program.child.kill(SIGTERM)
        }
        for program in programs {
            #expect(try await program.end().isSuccess, "\(program.lastLines)")
        }
    }

    @Test(.enabled(if: Broker.kafkaHome == nil, "it freezes the embedded broker"))
    func `a second SIGTERM ends a program at once`() async throws {
        let broker = try await Broker()
        let frozen = try #require(broker.program)
        let (simulator, url) = try await RunningProgram.simulator(["--rate", "1000"])
        let producer = try RunningProgram.producer(broker, feed: url)
        try await producer.wait(for: "a record to be acknowledged") {
            try await producer.metric("kafka_records_acknowledged_total") > 0
        }
        // The first signal's stop waits some seconds for a broker that does not answer.
        frozen.child.kill(SIGSTOP)
        try await producer.wait(for: "records that are not acknowledged") {
            let sent = try await producer.metric("kafka_records_sent_total")
            return try await producer.metric("kafka_records_acknowledged_total") + 1000 < sent
        }
        producer.child.kill(SIGTERM)
        try await producer.waitForLog(": stopping")
        producer.child.kill(SIGTERM)
        #expect(try await producer.end() == .exited(128 + SIGTERM), "\(producer.lastLines)")
        #expect(producer.log.contains("stopped at once by a second signal"), "\(producer.lastLines)")
        frozen.child.kill(SIGCONT)
        for program in [frozen, simulator] { try await program.stop() }
    }

    /// The programs that need Kafka, in the second attempt to reach it.
    private static func waitingForKafka() async throws -> [RunningProgram] {
        let database = try await TestDatabase()
        let arguments = ["--kafka-bootstrap-servers", try Broker.absent()]
        let programs =
            try [
                RunningProgram("producer", arguments + ["--feed-url", "ws://\(try Broker.absent())"])
            ] + RunningProgram.readers.map { try RunningProgram($0, arguments, ["DATABASE_URL": database.url]) }
        for program in programs { try await program.waitForLog("waiting for Kafka") }
        return programs
    }
}
