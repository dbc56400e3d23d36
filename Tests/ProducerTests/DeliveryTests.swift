import Kafka
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Producer

/// From the spool to the topic, through outages and refusals.
@Suite(.timeLimit(.minutes(10))) struct DeliveryTests {
    /// A delivery that runs on a thread of its own.
    private final class Run: Sendable {
        let health = Health()
        let lines = Mutex<[String]>([])
        private let shutdown = ShutdownSignal()
        private let outcome = Mutex<Result<Void, any Error>?>(nil)

        init(
            _ topic: TestTopic, _ cluster: EmbeddedKafka, stallTime: Duration = .seconds(10),
            _ change: @escaping @Sendable (inout KafkaSettings) -> Void = { _ in }
        ) {
            let logger = Logger(label: "test") { [self] line in lines.withLock { $0.append(line) } }
            let service = topic.delivery(to: cluster, health: health, logger: logger, stallTime: stallTime, change)
            ServiceThread.start("delivery") { [self] in
                let result = Result { try service.run(until: shutdown) }
                outcome.withLock { $0 = result }
            }
        }

        func stop() async throws {
            shutdown.request()
            try await end()
        }

        func end() async throws {
            try await eventually("the delivery ends") { outcome.withLock { $0 != nil } }
            try outcome.withLock { $0 }!.get()
        }
    }

    private static func cluster() throws -> EmbeddedKafka {
        let cluster = try EmbeddedKafka()
        try cluster.createTopic("trades", partitions: 1)
        try cluster.createTopic("feed-events", partitions: 1)
        return cluster
    }

    private static func publish(_ count: Int, by publisher: TradePublisher, from first: Int = 0) {
        for number in first..<first + count {
            let frame = #"{"data":[{"p":\#(number + 1),"s":"A","t":1,"v":1}],"type":"trade"}"#
            _ = Array(frame.utf8).withUnsafeBytes { publisher.publish($0) }
        }
    }

    /// The sequence numbers in the topic, as far as one reads until the last of so many has come.
    private static func numbers(in cluster: EmbeddedKafka, until last: Int64) throws -> [Int64] {
        let consumer = try KafkaConsumer(settings: .consumer(bootstrapServers: cluster.bootstrapServers, group: "g"))
        try consumer.assign([TopicPartition(topic: "trades", partition: 0): 0])
        let deadline = ContinuousClock.now + hangLimit
        var numbers: [Int64] = []
        while numbers.last != last {
            try #require(ContinuousClock.now < deadline, "\(numbers.count) records came, none with \(last)")
            switch consumer.poll(milliseconds: 100) {
            case .record(let record):
                numbers.append(try TradeRecord(json: record.value.bindMemory(to: UInt8.self).span).sequence)
            case .failure(let error, _): throw error
            default: break
            }
        }
        return numbers
    }

    /// What is left when each number that is not above all before it is left out, as readers do.
    private static func withoutRepeats(_ numbers: [Int64]) -> [Int64] {
        numbers.reduce(into: []) { kept, number in if number > kept.last ?? .min { kept.append(number) } }
    }

    private static func expected(_ count: Int) -> [Int64] { (1...Int64(count)).map { 1000 + $0 } }

    @Test func `everything is delivered in order, counted, and gone from the spool`() async throws {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        let run = Run(topic, cluster)
        Self.publish(5000, by: try topic.publisher())
        try await eventually("all is acknowledged") {
            topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 5000"#)
        }
        #expect(run.health.problems == [])
        try await run.stop()
        #expect(try Self.numbers(in: cluster, until: 6000) == Self.expected(5000))
        let left = try Spool(directory: "\(topic.spools.path)/trades", limits: Spool.Limits(bytes: 64 << 20))
        #expect(left.recovered == 0 && left.lastSequence == 6000)
        #expect(topic.metrics.render().contains(#"kafka_records_resent_total{topic="trades"} 0"#))
    }

    @Test func `while Kafka is away the spool keeps what comes, and all of it is sent in order afterwards`()
        async throws
    {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        cluster.setBrokers(up: false)
        let run = Run(topic, cluster)
        let publisher = try topic.publisher()
        Self.publish(100, by: publisher)
        try await eventually("not being ready is said") {
            run.health.problems.contains { $0.hasPrefix("kafka: not reached") }
        }
        cluster.setBrokers(up: true)
        try await eventually("what waited is acknowledged") {
            topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 100"#)
        }
        cluster.setBrokers(up: false)
        // More than may be on their way, and less than an embedded partition keeps.
        Self.publish(33_500, by: publisher, from: 100)
        try await eventually("no more are sent") {
            topic.metrics.render().contains(#"kafka_records_sent_total{topic="trades"} \#(100 + 32_768)"#)
        }
        cluster.setBrokers(up: true)
        try await eventually("all is acknowledged") {
            topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 33600"#)
        }
        try await run.stop()
        let numbers = try Self.numbers(in: cluster, until: 34_600)
        #expect(Self.withoutRepeats(numbers) == Self.expected(33_600))
    }

    /// 29 and 45 in Kafka's protocol: a topic that may not be written to, and a sequence that the broker did not expect.
    @Test(arguments: [29, 45])
    func `a client that is done for is replaced, and what it has not delivered is sent again in order`(
        code: Int32
    ) async throws {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        // The embedded broker compares no sequence numbers: it would take the request behind the one that it was told to
        // refuse, which Kafka refuses too. So one request at a time, with what comes in a moment.
        let run = Run(topic, cluster) {
            $0["max.in.flight.requests.per.connection"] = "1"
            $0["linger.ms"] = "20"
        }
        let publisher = try topic.publisher()
        Self.publish(100, by: publisher)
        try await eventually("the first are acknowledged") {
            topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 100"#)
        }
        cluster.refuseProducing(with: [code])
        for round in 0..<20 {
            Self.publish(100, by: publisher, from: 100 + round * 100)
            try await Task.sleep(for: .milliseconds(5))
        }
        try await eventually("all is acknowledged") {
            topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 2100"#)
        }
        try await run.stop()
        #expect(topic.metrics.render().contains("kafka_clients_replaced_total 1\n"))
        #expect(run.lines.withLock { $0 }.contains { $0.contains("Kafka's client is replaced") })
        #expect(Self.withoutRepeats(try Self.numbers(in: cluster, until: 3100)) == Self.expected(2100))
    }

    @Test func `a record that Kafka's client refuses is dropped and told, and the ones around it go on`() async throws {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        let run = Run(topic, cluster) { $0["message.max.bytes"] = "1000" }
        let publisher = try topic.publisher()
        let conditions = "[" + (0..<300).map { "\"\($0)\"" }.joined(separator: ",") + "]"
        let frame =
            #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":1,"s":"A","t":1,"v":1,"c":\#(conditions)},"#
            + #"{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#
        _ = Array(frame.utf8).withUnsafeBytes { publisher.publish($0) }
        try await eventually("the refusal is told") { topic.eventCount > 0 }
        try await run.stop()
        #expect(try Self.numbers(in: cluster, until: 1003) == [1001, 1003])
        #expect(topic.metrics.render().contains(#"kafka_records_refused_total{topic="trades"} 1"#))
    }

    @Test func `what Kafka has not got at the stop is sent by the next run`() async throws {
        let (directory, cluster) = (try TestDirectory(), try Self.cluster())
        do {
            let topic = try TestTopic(directory)
            let run = Run(topic, cluster)
            let publisher = try topic.publisher()
            Self.publish(100, by: publisher)
            try await eventually("the first are acknowledged") {
                topic.metrics.render().contains(#"kafka_records_acknowledged_total{topic="trades"} 100"#)
            }
            cluster.setBrokers(up: false)
            Self.publish(100, by: publisher, from: 100)
            try await run.stop()
            #expect(run.lines.withLock { $0 }.contains { $0.contains("the rest stays in the spool") })
        }
        cluster.setBrokers(up: true)
        let topic = try TestTopic(directory)
        #expect(topic.spools.trades.recovered == 100)
        let run = Run(topic, cluster)
        Self.publish(50, by: try topic.publisher(), from: 200)
        let numbers = try await onThread { try Self.numbers(in: cluster, until: 1250) }
        #expect(Self.withoutRepeats(numbers) == Self.expected(250))
        try await run.stop()
        #expect(topic.metrics.render().contains(#"kafka_records_resent_total{topic="trades"} 100"#))
    }

    @Test func `a producer with nothing to send finds out that Kafka is away, and that it is back`() async throws {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        let run = Run(topic, cluster, stallTime: .milliseconds(200))
        try await eventually("Kafka is reached") { run.health.problems == [] }
        cluster.setBrokers(up: false)
        try await eventually("its absence is said") {
            run.health.problems.contains { $0.hasPrefix("kafka: nothing has been heard") }
        }
        cluster.setBrokers(up: true)
        try await eventually("its return is noticed") { run.health.problems == [] }
        try await run.stop()
    }

    @Test func `a topic that is not there ends the program, with its name`() async throws {
        let (topic, cluster) = (try TestTopic(), try Self.cluster())
        cluster.denyTopic("trades")
        let run = Run(topic, cluster)
        let error = await #expect(throws: KafkaError.self) { try await run.end() }
        #expect(error?.description.contains("topic trades") == true)
    }
}
