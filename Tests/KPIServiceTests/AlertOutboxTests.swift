import DatabaseTestSupport
import Kafka
import Postgres
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct AlertOutboxTests {
    /// Keeps what it gets, as far as it is told to.
    private final class Channel: AlertChannel {
        var records: [AlertRecord] = []
        /// How many of the next ones are acknowledged; the others arrive all the same.
        var acknowledges = Int.max
        var crash: (() throws -> Void)?
        var isReady = true

        struct NotReady: Error {}

        func prepare() throws { if !isReady { throw NotReady() } }

        func send(_ records: [AlertRecord], until shutdown: ShutdownSignal) throws -> Int {
            self.records += records
            try crash?()
            return min(acknowledges, records.count)
        }

        /// The numbers of the changes, in the order of their arrival.
        var numbers: [Int] {
            records.map { Int($0.value.dropFirst(#"{"seq":"#.count).prefix { $0.isNumber })! }
        }
    }

    /// Alerts that open and close in turn, so many changes.
    private static func fill(_ database: TestDatabase, _ count: Int) throws {
        try database.execute(
            """
            INSERT INTO alert (rule_id, rule, kind, severity, value, limit_value, closes_at, since, opened_at, state,
                closed_at)
            SELECT n, 'rule ' || n, 'rate_above', 'info', 2.5, 2, 1, now(), now(), 'closed', now()
            FROM generate_series(1, \(count / 2)) AS n;
            INSERT INTO alert_transition (alert_id, state, at, value)
            SELECT id, change, now(), 3 FROM alert, (VALUES ('opened'), ('closed')) AS each (change) ORDER BY id, change DESC
            """)
    }

    private static func unpublished(_ database: TestDatabase) throws -> String {
        try database.value("SELECT count(*) FROM alert_transition WHERE published_at IS NULL")
    }

    @Test func `a record has what the documentation says`() async throws {
        try await TestDatabase.run { database in
            try database.execute(
                """
                INSERT INTO alert (rule_id, rule, kind, severity, symbol, value, limit_value, closes_at, since, opened_at)
                VALUES (7, 'a "rule"', 'rate_above', 'info', 'A:ß', 2.50, 2, 1, '2026-11-18 12:00:00.000001Z',
                    '2026-11-18 13:00+01');
                INSERT INTO alert_transition (alert_id, state, at, value) VALUES (1, 'opened', '2026-11-18 13:00+01', 2.50);
                INSERT INTO alert_transition (alert_id, state, at, by)
                    VALUES (1, 'acknowledged', '2026-11-18 12:00:01Z', 'me')
                """)
            let channel = Channel()
            var connection = try database.connect()
            try AlertOutbox(channel, AlertMetrics(.init())).run(&connection, until: ShutdownSignal())
            let common = #""rule":7,"name":"a \"rule\"","kind":"rate_above","severity":"info","symbol":"A:ß""#
            let end = #""limit":2,"closes_at":1,"since":"2026-11-18T12:00:00.000001Z","#
            #expect(channel.records.map(\.key) == ["7:A:ß", "7:A:ß"])
            #expect(
                channel.records.map(\.value) == [
                    #"{"seq":1,"id":1,"state":"opened","at":"2026-11-18T12:00:00.000000Z","#
                        + common + #","value":2.50,"# + end + #""by":null}"#,
                    #"{"seq":2,"id":1,"state":"acknowledged","at":"2026-11-18T12:00:01.000000Z","#
                        + common + #","value":null,"# + end + #""by":"me"}"#,
                ])
        }
    }

    @Test func `all changes come in order, in portions`() async throws {
        try await TestDatabase.run { database in
            try Self.fill(database, 2 * AlertOutbox.chunk + 20)
            let channel = Channel()
            var connection = try database.connect()
            let registry = MetricsRegistry()
            try AlertOutbox(channel, AlertMetrics(registry)).run(&connection, until: ShutdownSignal())
            #expect(channel.numbers == Array(1...(2 * AlertOutbox.chunk + 20)))
            #expect(try Self.unpublished(database) == "0")
            #expect(registry.render().contains("alert_transitions_published_total 220\n"))
        }
    }

    @Test func `a crash between sending and marking sends again, and loses nothing`() async throws {
        try await TestDatabase.run { database in
            try Self.fill(database, 250)
            let channel = Channel()
            for crashed in 1...3 {
                channel.crash = {
                    try database.execute(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'
                        """)
                }
                #expect(throws: PostgresError.self) {
                    var connection = try database.connect()
                    try AlertOutbox(channel, AlertMetrics(.init())).run(&connection, until: ShutdownSignal())
                }
                #expect(channel.records.count == crashed * AlertOutbox.chunk)
                #expect(try Self.unpublished(database) == "250")
            }
            channel.crash = nil
            var connection = try database.connect()
            try AlertOutbox(channel, AlertMetrics(.init())).run(&connection, until: ShutdownSignal())
            // Who drops what is not above the last number has all of them in order.
            var last = 0
            for number in channel.numbers where number > last {
                #expect(number == last + 1)
                last = number
            }
            #expect(last == 250)
            #expect(try Self.unpublished(database) == "0")
        }
    }

    @Test func `what is acknowledged in part is marked as far as there is no gap`() async throws {
        try await TestDatabase.run { database in
            try Self.fill(database, 10)
            let channel = Channel()
            channel.acknowledges = 4
            var connection = try database.connect()
            let outbox = AlertOutbox(channel, AlertMetrics(.init()))
            #expect(throws: AlertsNotAcknowledged.self) { try outbox.run(&connection, until: ShutdownSignal()) }
            #expect(try Self.unpublished(database) == "6")
            channel.acknowledges = .max
            try outbox.run(&connection, until: ShutdownSignal())
            #expect(channel.numbers == Array(1...10) + Array(5...10))
        }
    }

    @Test func `while one member publishes, no other does`() async throws {
        try await TestDatabase.run { database in
            try Self.fill(database, 10)
            let (first, second) = (Channel(), Channel())
            var connection = try database.connect()
            first.crash = {
                var other = try database.connect()
                try AlertOutbox(second, AlertMetrics(.init())).run(&other, until: ShutdownSignal())
            }
            try AlertOutbox(first, AlertMetrics(.init())).run(&connection, until: ShutdownSignal())
            #expect(first.numbers == Array(1...10))
            #expect(second.numbers == [])
        }
    }

    @Test func `an outage of Kafka is waited out without a transaction`() async throws {
        try await TestDatabase.run { database in
            try Self.fill(database, 10)
            let channel = Channel()
            channel.isReady = false
            var connection = try database.connect()
            let outbox = AlertOutbox(channel, AlertMetrics(.init()))
            #expect(throws: Channel.NotReady.self) { try outbox.run(&connection, until: ShutdownSignal()) }
            #expect(connection.transactionStatus == .idle)
            channel.isReady = true
            try outbox.run(&connection, until: ShutdownSignal())
            #expect(channel.numbers == Array(1...10))
        }
    }

    @Test func `a record that Kafka takes in no case is told as such, and the next client goes on`() async throws {
        try await onThread {
            let cluster = try EmbeddedKafka()
            try cluster.createTopic("alerts", partitions: 1)
            let topic = AlertTopic("alerts", .producer(bootstrapServers: cluster.bootstrapServers)) {
                KafkaEvents(delivered: $0)
            }
            try topic.prepare()
            let large = AlertRecord(key: "1", value: String(repeating: "x", count: 2_000_000))
            let error = #expect(throws: KafkaError.self) { try topic.send([large], until: ShutdownSignal()) }
            #expect(error?.name == "MSG_SIZE_TOO_LARGE")
            try topic.prepare()
            #expect(try topic.send([AlertRecord(key: "1", value: "x")], until: ShutdownSignal()) == 1)
        }
    }

    @Test func `a topic whose broker goes and comes back has all in order`() async throws {
        try await onThread {
            let cluster = try EmbeddedKafka()
            try cluster.createTopic("alerts", partitions: 1)
            let topic = AlertTopic(
                "alerts", .producer(bootstrapServers: cluster.bootstrapServers), patience: .milliseconds(500)
            ) { KafkaEvents(delivered: $0) }
            func records(_ numbers: ClosedRange<Int>) -> [AlertRecord] {
                numbers.map { AlertRecord(key: "1", value: "\($0)") }
            }
            // A busy machine may need more than its patience.
            func awaitSent(_ numbers: ClosedRange<Int>) throws {
                try eventually("\(numbers) are sent") {
                    guard (try? topic.prepare()) != nil else { return false }
                    return try topic.send(records(numbers), until: ShutdownSignal()) == numbers.count
                }
            }
            try awaitSent(1...3)
            cluster.setBrokers(up: false)
            #expect(try topic.send(records(4...6), until: ShutdownSignal()) == 0)
            #expect(throws: KafkaError.self) { try topic.prepare() }
            cluster.setBrokers(up: true)
            try awaitSent(4...6)
            let consumer = try KafkaConsumer(
                settings: .consumer(bootstrapServers: cluster.bootstrapServers, group: "test"))
            try consumer.assign([TopicPartition(topic: "alerts", partition: 0): 0])
            var values: [Int] = []
            try eventually("all are read") {
                if case .record(let record) = consumer.poll(milliseconds: 100) {
                    values.append(Int(String(decoding: record.value, as: UTF8.self))!)
                }
                return values.last == 6
            }
            var last = 0
            for value in values where value > last {
                #expect(value == last + 1)
                last = value
            }
            #expect(last == 6)
        }
    }
}
