import Foundation
import Kafka
import LocalServers
import ProgramTestSupport
import Synchronization
import TestSupport
import Testing

/// One test's pipeline: a database of its own, a broker with a topic of its own, and the programs as child processes.
final class TestPipeline: Sendable {
    /// The embedded broker keeps 5 MiB a partition: with so many, nearly all of a run's 100,000 trades fit, and no reader
    /// can come too late.
    static let partitions = 16
    /// Both readers have a position in every partition once they have joined.
    static let readers = ["consumer", "kpi-service"]

    let processes: PipelineProcesses
    let database: Database
    let bootstrap: String
    let topic: String
    let eventsTopic: String
    let tap: TopicTap
    /// Where the simulator writes down what it sends.
    var recordingFile: String { "\(processes.directory)/recording.jsonl" }

    private let client: KafkaClient
    private let hasUsers: Bool
    private let deaths: Deaths

    /// Runs a test with a pipeline whose readers do not run yet, and ends all of it afterwards; an error comes with the
    /// last lines of every program's log.
    ///
    /// - Parameters:
    ///   - database: one that is there already; nil makes a new one.
    ///   - migrated: whether a new database gets the schema.
    static func run(
        database: Database? = nil, migrated: Bool = true, _ test: (TestPipeline) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory(prefix: "tickstream-e2e")
        let deaths = Deaths()
        let processes = try PipelineProcesses(directory: directory.path, onDeath: deaths.add)
        var pipeline: TestPipeline?
        do {
            pipeline = try await TestPipeline(processes, deaths, database, hasUsers: database != nil || migrated)
            if database == nil, migrated {
                try await processes.migrate(databaseURL: pipeline!.database.url)
                try await Servers.shared.createUsers()
            }
            try await test(pipeline!)
        } catch {
            let logs = lastLines(in: directory.path)
            pipeline?.tap.stop()
            await processes.stopAll()
            throw TestFailure("\(error)\n\(logs)")
        }
        pipeline?.tap.stop()
        await processes.stopAll()
    }

    private init(
        _ processes: PipelineProcesses, _ deaths: Deaths, _ database: Database?, hasUsers: Bool
    ) async throws {
        self.processes = processes
        self.hasUsers = hasUsers
        self.deaths = deaths
        if let database {
            self.database = database
        } else {
            self.database = try await Servers.shared.newDatabase()
        }
        if let home = Servers.kafkaHome {
            bootstrap = try await Servers.shared.kafkaBootstrap(home: home)
            topic = "trades-\(UUID().uuidString.lowercased())"
            eventsTopic = "feed-events-\(UUID().uuidString.lowercased())"
        } else {
            bootstrap = try await processes.startDevBroker(partitions: Self.partitions)
            topic = "trades"
            eventsTopic = "feed-events"
        }
        client = try KafkaClient(settings: .client(bootstrapServers: bootstrap))
        let (client, bootstrap, topic, eventsTopic) = (client, bootstrap, topic, eventsTopic)
        tap = try await onThread {
            if Servers.kafkaHome != nil {
                _ = try KafkaAdmin(client).createTopic(topic, partitions: Self.partitions, replication: 1)
                _ = try KafkaAdmin(client).createTopic(eventsTopic, partitions: 1, replication: 1)
            }
            return try TopicTap(bootstrap: bootstrap, topic: topic, partitions: Self.partitions)
        }
    }

    // MARK: Programs

    /// Starts both readers, and waits until they have taken the partitions of the trades.
    func startReaders(_ arguments: [String] = []) async throws {
        let claims = "SELECT count(*) FROM offset_ledger JOIN topic_log USING (log_id) WHERE topic = '\(topic)'"
        let wanted = try await database.number(claims) + Self.partitions * Self.readers.count
        for reader in Self.readers { try start(reader, arguments) }
        try await wait(for: "both readers to claim their partitions") { try await database.number(claims) == wanted }
    }

    /// Starts a reader, among the test's processes unless told otherwise.
    @discardableResult
    func start(
        _ reader: String, _ arguments: [String] = [], among others: PipelineProcesses? = nil
    ) throws -> PipelineProcess {
        let processes = others ?? processes
        let topicArguments = ["--trades-topic", topic]
        // Without the schema there are no users.
        let databaseURL = hasUsers ? database.programs[reader]! : database.url
        return reader == "consumer"
            ? try processes.startConsumer(
                bootstrap: bootstrap, databaseURL: databaseURL,
                arguments: topicArguments + ["--events-topic", eventsTopic, "--consumer-group", "consumer-\(topic)"]
                    + arguments)
            : try processes.startKPIService(
                bootstrap: bootstrap, databaseURL: databaseURL,
                arguments: topicArguments + ["--kpi-group", "kpi-\(topic)"] + arguments)
    }

    @discardableResult
    func startProducer(feed: String, symbols: [String]) throws -> PipelineProcess {
        try processes.startProducer(
            feed: feed, bootstrap: bootstrap, symbols: symbols,
            arguments: ["--trades-topic", topic, "--events-topic", eventsTopic])
    }

    /// Asks the running programs of this name to stop, and waits.
    @discardableResult
    func stop(_ name: String) async -> [LocalServers.ExitStatus] {
        var ends: [LocalServers.ExitStatus] = []
        for process in processes.running where process.name == name { ends.append(await process.stop()) }
        return ends
    }

    /// Ends the running programs of this name by SIGKILL.
    func kill(_ name: String) async {
        for process in processes.running where process.name == name { await process.kill() }
    }

    /// Stops everything in order and expects every program to end well.
    func stopAll() async {
        tap.stop()
        for (name, status) in await processes.stopAll() {
            #expect(status.isSuccess, "\(name) \(status)")
        }
        #expect(deaths.all == [])
    }

    // MARK: Waiting

    /// Polls until `condition` holds; throws when it does not within `limit`, or when a program has died.
    func wait(
        for what: String, within limit: Duration = hangLimit, _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await !condition() {
            guard deaths.all.isEmpty else { throw TestFailure("while waiting for \(what): \(deaths.all)") }
            guard ContinuousClock.now < deadline else { throw TestFailure("waited \(limit) in vain for \(what)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// The offset behind the last record of each partition.
    func watermarks() async throws -> [Int64] {
        let (client, topic) = (client, topic)
        return try await onThread {
            try (0..<Int32(Self.partitions)).map {
                try client.watermarks(TopicPartition(topic: topic, partition: $0), timeout: hangLimit).high
            }
        }
    }

    /// Waits until the topic holds `count` records, or has stopped growing: then what is missing is lost. Then ends the
    /// producer, which hands over what it still has.
    func publishAll(_ count: Int) async throws {
        var last = -1
        var lastGrowth = ContinuousClock.now
        try await wait(for: "the topic to stop growing", within: hangLimit * 10) {
            let total = Int(try await watermarks().reduce(0, +))
            if total > last { (last, lastGrowth) = (total, .now) }
            return total >= count || ContinuousClock.now - lastGrowth > hangLimit
        }
        for status in await stop("producer") { #expect(status.isSuccess) }
    }

    /// Waits until both readers have stored, and the tap has read, all that the topic holds; returns how much that is.
    func waitUntilStored(within limit: Duration = hangLimit) async throws -> Int {
        let ends = try await watermarks()
        let total = Int(ends.reduce(0, +))
        var positions: [[String?]] = []
        do {
            try await wait(for: "both readers to reach \(ends)", within: limit) {
                positions = try await database.rows(
                    """
                    SELECT reader, array_agg(next_offset ORDER BY partition)::text
                    FROM offset_ledger
                    WHERE log_id = (SELECT max(log_id) FROM topic_log WHERE topic = '\(topic)')
                    GROUP BY reader ORDER BY reader
                    """)
                let wanted = "{\(ends.map(String.init).joined(separator: ","))}"
                return try positions.map { $0[1] } == [wanted, wanted] && tap.records().count == total
            }
        } catch {
            throw TestFailure("\(error); they stand at \(positions), the tap at \(try tap.records().count)")
        }
        return total
    }

    /// Unexpected ends of programs.
    private final class Deaths: Sendable {
        private let deaths = Mutex<[String]>([])
        var all: [String] { deaths.withLock { $0 } }

        @Sendable func add(_ death: PipelineProcess.Death) { deaths.withLock { $0.append("\(death)") } }
    }

    private static func lastLines(in directory: String) -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasSuffix(".log") }.sorted().map { name in
            let text = (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? ""
            return "--- \(name)\n" + text.split(separator: "\n").suffix(15).joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
