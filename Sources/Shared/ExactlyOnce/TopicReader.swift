import Kafka
import KafkaService
import Postgres
import ServiceKit
import TradeModel

/// Reads a topic as a member of a consumer group, and has every record stored exactly once.
///
/// The reading thread polls, checks and gathers; the writer's thread stores. As soon as the writer is free, what has come
/// in goes out: with little load a record waits for one commit, with much load batches grow by themselves. Any doubt ends
/// in claiming anew and reading anew. The group's offsets are committed for displays of lag only.
package final class TopicReader<Batch: TransactionalBatch>: Service {
    package var name: String { "\(configuration.topic) reader" }
    private let configuration: TopicReaderConfiguration
    private let makeBatch: @Sendable () -> Batch
    private let logger: Logger
    private let metrics: TopicReaderMetrics
    /// How long a new client must last.
    private let replacementPause = Duration.seconds(60)

    /// Makes a reader.
    /// - Parameter makeBatch: makes the two batches that take turns.
    package init(
        _ configuration: TopicReaderConfiguration, logger: Logger, metrics: TopicReaderMetrics,
        makeBatch: @escaping @Sendable () -> Batch
    ) {
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        self.makeBatch = makeBatch
    }

    package func run(until shutdown: ShutdownSignal) throws {
        guard try awaitSchema(until: shutdown) else { return }
        var lastReplacement: ContinuousClock.Instant?
        while !shutdown.isRequested {
            do {
                try read(until: shutdown)
            } catch let stalled as ReaderStalled {
                logger.warning(
                    "Kafka's client hangs; going on with a new one",
                    [
                        "kafka.topic": configuration.topic, "kafka.partitions": Reading<Batch>.list(stalled.partitions),
                        "reason": "\(stalled)",
                    ])
                metrics.recoveries.increment()
            } catch let error as KafkaError {
                // A client that is done for is replaced: as one whose commit reached the group under the name that a static
                // member had before it came back. What a new one does not mend soon, it does not mend.
                let isRepeated = lastReplacement.map { ContinuousClock.now - $0 < replacementPause } ?? false
                guard error.isFatal, !isRepeated else { throw error }
                lastReplacement = .now
                logger.warning(
                    "Kafka's client is done for; going on with a new one",
                    ["kafka.topic": configuration.topic, "error": "\(error)"])
                metrics.recoveries.increment()
            }
        }
    }

    /// Reads with one client of Kafka's, until asked to stop.
    /// - Throws: `ReaderStalled` when another client has to go on.
    private func read(until shutdown: ShutdownSignal) throws {
        let consumer = try KafkaConsumer(settings: configuration.kafka, events: KafkaEvents(logger: logger))
        guard let cluster = try consumer.clusterID(until: shutdown, logger: logger) else { return }
        warnOfEmbeddedBroker(cluster: cluster, logger: logger)
        let topic = configuration.topic
        let writer = TransactionalWriter<Batch>(
            ledger: OffsetLedger(
                reader: configuration.reader, topic: topic, cluster: cluster,
                acceptsNewCluster: configuration.acceptsNewCluster),
            database: configuration.database, logger: logger, commitTime: metrics.commitTime,
            watermarks: {
                try consumer.watermarks(TopicPartition(topic: topic, partition: $0), timeout: .seconds(10))
            },
            onFinished: { consumer.wake() })
        writer.start()
        defer { writer.stop() }
        let logs = LogWatch(consumer: consumer, topic: topic, metrics: metrics)
        logs.start()
        defer { logs.stop() }
        shutdown.onRequest { consumer.wake() }
        var reading = Reading(
            consumer: consumer, writer: writer, logs: logs, configuration: configuration, logger: logger,
            metrics: metrics, shutdown: shutdown, batches: (makeBatch(), makeBatch()))
        try consumer.subscribe(topics: [topic])
        logger.info(
            "reading",
            ["kafka.topic": topic, "kafka.cluster": cluster, "database": configuration.database.redactedDescription])
        let result = Result { try reading.loop() }
        metrics.assignedPartitions.set(0)
        if !consumer.close(deadline: .seconds(5)) {
            logger.warning("the consumer group was not left in time; its other members take over a little later")
            // The client that was left behind keeps its place in the group as long as the process lives: so nobody goes on
            // beside it.
            if case .failure(let stalled as ReaderStalled) = result {
                throw ReaderHangs(stalled: stalled)
            }
        }
        try result.get()
    }

    /// Waits for a database with the schema that this program was built for.
    /// - Returns: false when asked to stop meanwhile.
    /// - Throws: what waiting does not mend.
    private func awaitSchema(until shutdown: ShutdownSignal) throws -> Bool {
        repeat {
            do {
                try requireSchema(of: configuration.database)
                return true
            } catch let error as PostgresError {
                guard error.isRetriable else { throw error }
                logger.warning("waiting for the database", ["error": "\(error)"])
            }
        } while !shutdown.wait(for: .seconds(1))
        return false
    }
}
