import DatabaseTestSupport
import Kafka
import Postgres
import ServiceKit
import Synchronization
import TestSupport

@testable import ExactlyOnce

/// A reader that runs on a thread of its own.
final class RunningReader: Sendable {
    let metrics: TopicReaderMetrics
    let observer: OffsetBatch.Observer
    private let shutdown = ShutdownSignal()
    private let lines = Mutex<[String]>([])
    private let worker = Mutex<Worker<Void>?>(nil)

    /// - Parameter sharesGroup: whether there will be rebalances.
    init(
        _ topic: TestTopic, _ database: PostgresConfiguration, group: String? = nil, reader: String = "reader",
        sharesGroup: Bool = false, observer: OffsetBatch.Observer = .init(),
        _ change: (inout TopicReaderConfiguration) -> Void = { _ in }
    ) {
        var kafka = KafkaSettings.consumer(bootstrapServers: topic.servers, group: group ?? topic.name)
        // Long enough for a busy machine to send a heartbeat. Each rebalance of the embedded cluster takes nearly as long;
        // but a member that came back after its session would end that cluster's process, which is this one.
        kafka["session.timeout.ms"] = sharesGroup && topic.embedded != nil ? "6000" : "45000"
        kafka["heartbeat.interval.ms"] = "500"
        kafka["topic.metadata.refresh.interval.ms"] = "1000"
        var configuration = TopicReaderConfiguration(
            reader: reader, topic: topic.name, kafka: kafka, database: database, acceptsNewCluster: false)
        change(&configuration)
        self.observer = observer
        metrics = TopicReaderMetrics(MetricsRegistry(), topic: topic.name)
        let logger = Logger(label: "test", level: .info) { [self] line in lines.withLock { $0.append(line) } }
        let service = TopicReader(configuration, logger: logger, metrics: metrics) { OffsetBatch(observer) }
        worker.withLock { $0 = Worker { [shutdown] in try service.run(until: shutdown) } }
    }

    var log: [String] { lines.withLock { $0 } }

    /// How often the log says this.
    func count(_ words: String) -> Int { log.count { $0.contains(words) } }

    var isOver: Bool { worker.withLock { $0?.isOver ?? false } }

    func waitUntilAssigned(_ count: Int64? = nil) throws {
        try eventually("the reader has partitions") {
            let owned = metrics.assignedPartitions.value
            return count.map { owned == $0 } ?? (owned > 0)
        }
    }

    /// Stops the reader, and waits for its end.
    func stop() throws {
        shutdown.request()
        try end()
    }

    /// Asks it to stop, and does not wait.
    func requestStop() { shutdown.request() }

    /// Waits for the reader's end and throws what ended it.
    func end() throws {
        try worker.withLock { $0 }?.value()
    }
}

extension TestDatabase {
    /// Waits until so many rows are stored.
    func awaitStored(_ count: Int) throws {
        try eventually("\(count) rows are stored") {
            Int((try? value("SELECT count(*) FROM stored")) ?? "") ?? 0 >= count
        }
    }

    /// What of the offsets from 0 on is lost and what is doubled, over all partitions: `0 lost, 0 doubled` is right.
    func verdict(_ count: Int, partitions: Int) throws -> String {
        try value(
            """
            SELECT (SELECT count(*) FROM (SELECT p, o FROM generate_series(0, \(partitions - 1)) p,
                        generate_series(0, \(count - 1)) o
                    EXCEPT SELECT partition, record_offset FROM stored) AS missing) || ' lost, '
                || (SELECT count(*) - count(DISTINCT (partition, record_offset)) FROM stored) || ' doubled'
                || (SELECT CASE WHEN max(record_offset) >= \(count) THEN ', some beyond' ELSE '' END FROM stored)
            """)
    }

    /// Waits until the reader's position is behind so many records, over all partitions.
    func awaitPosition(_ count: Int, within limit: Duration = hangLimit) throws {
        try eventually("the position is behind \(count) records", within: limit) {
            try value("SELECT sum(next_offset) FROM offset_ledger") == "\(count)"
        }
    }

    /// The same as `verdict` of what a source has numbered from 0 on, wherever it stands.
    func verdictOfSource(_ source: String, _ count: Int, partitions: Int) throws -> String {
        try value(
            """
            SELECT (SELECT count(*) FROM (SELECT p, n FROM generate_series(0, \(partitions - 1)) p,
                        generate_series(0, \(count - 1)) n
                    EXCEPT SELECT partition, sequence FROM stored WHERE source = '\(source)') AS missing) || ' lost, '
                || (SELECT count(*) - count(DISTINCT (partition, sequence)) FROM stored WHERE source = '\(source)')
                || ' doubled'
                || (SELECT CASE WHEN max(sequence) >= \(count) THEN ', some beyond' ELSE '' END FROM stored
                    WHERE source = '\(source)')
            """)
    }
}
