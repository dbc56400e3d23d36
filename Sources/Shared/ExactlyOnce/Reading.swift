import Kafka
import Postgres
import ServiceKit

/// The reading thread's state: which partitions are owned, how far they are gathered, and the batch that is being filled.
///
/// Used by the one thread that polls.
struct Reading<Batch: TransactionalBatch> {
    let consumer: KafkaConsumer
    let writer: TransactionalWriter<Batch>
    let configuration: TopicReaderConfiguration
    let logger: Logger
    let metrics: TopicReaderMetrics
    let shutdown: ShutdownSignal

    private var owned: [OwnedPartition] = []
    /// Where each partition stands in `owned`.
    private var places: [Int32: Int] = [:]
    /// The place of the last record's partition, which is nearly always that of the next: spares a look-up a record.
    private var current = 0
    private var filling: Batch
    private var spare: Batch?
    private var gathered = 0
    private var lastSubmit = ContinuousClock.now
    /// What to claim anew after a batch was not stored, and when: unless the group has moved partitions by then.
    private var reclaim: (partitions: [Int32], at: ContinuousClock.Instant)?
    private var committed: [TopicPartition: Int64] = [:]
    private var lastGroupCommit = ContinuousClock.now
    private var resendLog = LogThrottle()

    /// While records keep coming, all else is seen to every so many.
    private static var enough: Int { 1024 }
    /// How long to pause before claiming anew, so that a fault that lasts causes no storm.
    private let retryPause = Duration.milliseconds(100)
    /// How long a stop or a rebalance waits for the database to store what has been gathered. What comes after that is
    /// the ledger's to decide: either it is stored, or the next owner reads it.
    private let patience = Duration.seconds(5)

    init(
        consumer: KafkaConsumer, writer: TransactionalWriter<Batch>, configuration: TopicReaderConfiguration,
        logger: Logger, metrics: TopicReaderMetrics, shutdown: ShutdownSignal, batches: sending (Batch, Batch)
    ) {
        self.shutdown = shutdown
        self.consumer = consumer
        self.writer = writer
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        (filling, spare) = batches
    }

    /// Reads and stores until asked to stop; then stores what has been gathered.
    mutating func loop() throws {
        while !shutdown.isRequested {
            if writer.hasOutcome { try takeOutcome(within: .zero) }
            if filling.isFull, spare == nil {
                // The database is behind: reading waits for it, so memory stays bounded.
                try takeOutcome(within: .milliseconds(200))
                continue
            }
            try takeIn()
            if gathered > 0 { submitIfDue() }
            commitToGroup(atOnce: false)
            try reclaimIfDue()
        }
        try flush()
        commitToGroup(atOnce: true)
    }

    // MARK: Reading

    /// Waits for a record or an event, and takes in the records that are there behind it, up to a bound.
    private mutating func takeIn() throws {
        var milliseconds = pollTime()
        for _ in 0..<Self.enough {
            switch consumer.poll(milliseconds: milliseconds) {
            case .record(let record): try append(record)
            case .nothing: return
            case .rebalance(let rebalance): return try handle(rebalance)
            case .failure(let error, let place): return try handle(error, place)
            }
            if filling.isFull { return }
            // A poll that need not wait need not read the clock either.
            milliseconds = 0
        }
    }

    /// How long to wait for a record. The writer wakes the poll when it is done, so waiting costs no latency.
    private func pollTime() -> Int32 {
        guard gathered > 0, spare != nil else { return 100 }
        return configuration.commitInterval > .zero ? 10 : 0
    }

    private mutating func append(_ record: borrowing KafkaRecord) throws {
        if current >= owned.count || owned[current].claim.partition != record.partition {
            guard let place = places[record.partition] else { return }  // fetched before the partition was given up
            current = place
        }
        let expected = owned[current].expected
        guard record.offset == expected, RowID.offsets.contains(record.offset) else {
            throw LedgerError.gap(
                topic: configuration.topic, partition: record.partition, expected: expected, found: record.offset)
        }
        let id = RowID.of(log: owned[current].claim.log, partition: record.partition, offset: record.offset)
        filling.append(record, id: id, marks: &owned[current].marks)
        owned[current].expected = expected + 1
        gathered += 1
    }

    // MARK: Storing

    private mutating func submitIfDue() {
        guard let next = spare else { return }
        guard ContinuousClock.now - lastSubmit >= configuration.commitInterval || filling.isFull else { return }
        submit(next)
    }

    private mutating func submit(_ next: Batch) {
        var advances: [Advance] = []
        var resends: [TransactionalWriter<Batch>.Stored.Resent] = []
        for place in owned.indices {
            guard let taken = owned[place].takeAdvance() else { continue }
            advances.append(taken.advance)
            resends += taken.resends.map { (taken.advance.claim.partition, $0) }
        }
        metrics.recordsRead.increment(by: Int64(gathered))
        lastSubmit = .now
        gathered = 0
        let full = filling
        filling = next
        spare = nil
        // The batch now belongs to the writer until its outcome is taken.
        nonisolated(unsafe) let job = TransactionalWriter<Batch>.Job.store(
            .init(batch: full, advances: advances, resends: resends))
        writer.submit(job)
    }

    private mutating func takeOutcome(within duration: Duration) throws {
        if let outcome = writer.waitForOutcome(duration) { try handle(outcome) }
    }

    private mutating func handle(_ outcome: TransactionalWriter<Batch>.Outcome) throws {
        switch outcome {
        case .stored(let stored):
            noteStored(stored)
            stored.batch.reset()
            spare = stored.batch
        case .claimed(let claims):
            try begin(claims)
        case .failed(let error, let stored):
            try recover(from: error, returned: stored)
        }
    }

    private mutating func noteStored(_ stored: TransactionalWriter<Batch>.Stored) {
        metrics.batches.increment()
        var records: Int64 = 0
        for advance in stored.advances {
            records += advance.to - advance.from
            if let place = places[advance.claim.partition] { owned[place].position.set(advance.to) }
            committed[TopicPartition(topic: configuration.topic, partition: advance.claim.partition)] = advance.to
        }
        let resent = stored.resends.reduce(0) { $0 + Int64($1.resends.count) }
        metrics.recordsStored.increment(by: records - resent)
        metrics.recordsResent.increment(by: resent)
        for (partition, resends) in stored.resends where resendLog.allows() { warn(of: resends, in: partition) }
    }

    private func warn(of resends: Resends, in partition: Int32) {
        logger.warning(
            "records that had been stored before were skipped: a producer sent them again, or two use one source id",
            [
                "kafka.topic": configuration.topic, "kafka.partition": partition, "source": "\(resends.source)",
                "records": resends.count, "kafka.offset.first": resends.offsets.lowerBound,
                "kafka.offset.last": resends.offsets.upperBound,
            ])
    }

    /// Stores what has been gathered, and waits for it, though not for ever.
    private mutating func flush() throws {
        let deadline = ContinuousClock.now + patience
        try waitForWriter { .now < deadline }
        guard gathered > 0, let next = spare else { return }
        submit(next)
        try waitForWriter { .now < deadline }
    }

    /// Waits until no batch is on its way any more, as long as that is worth it.
    private mutating func waitForWriter(while isWorthIt: () -> Bool) throws {
        while spare == nil, isWorthIt() { try takeOutcome(within: .milliseconds(200)) }
    }

    // MARK: Owning

    private mutating func handle(_ rebalance: KafkaRebalance) throws {
        switch rebalance {
        case .assigned(let places):
            logger.info(
                "partitions assigned",
                ["kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition))])
            try claim(places.map(\.partition))
        case .revoked(let places, let lost):
            logger.info(
                "partitions revoked",
                [
                    "kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition)),
                    "kafka.lost": "\(lost)",
                ])
            // Of lost partitions nothing more is stored; what is on its way already, the ledger decides.
            if !lost { try flush() }
            forgetPartitions()
            try consumer.unassign()
        }
    }

    private static func list(_ partitions: [Int32]) -> String {
        partitions.sorted().map(String.init).joined(separator: ",")
    }

    private mutating func claim(_ partitions: [Int32]) throws {
        forgetPartitions()
        let shutdown = shutdown
        try waitForWriter { !shutdown.isRequested }
        guard !shutdown.isRequested else { return }
        writer.submit(.claim(partitions))
        // A stop does not wait for it: nothing has been read of these partitions yet.
        while !shutdown.isRequested {
            if let outcome = writer.waitForOutcome(.milliseconds(200)) { return try handle(outcome) }
        }
    }

    private mutating func begin(_ claims: [Claim]) throws {
        owned = claims.map { OwnedPartition($0, position: metrics.nextOffset($0.partition)) }
        places = Dictionary(uniqueKeysWithValues: claims.enumerated().map { ($1.partition, $0) })
        metrics.assignedPartitions.set(Int64(claims.count))
        var offsets: [TopicPartition: Int64] = [:]
        for claim in claims {
            offsets[TopicPartition(topic: configuration.topic, partition: claim.partition)] = claim.nextOffset
        }
        try consumer.assign(offsets)
    }

    /// Drops everything that is not on its way to the database.
    private mutating func forgetPartitions() {
        reclaim = nil
        owned = []
        places = [:]
        filling.reset()
        gathered = 0
        metrics.assignedPartitions.set(0)
    }

    // MARK: Recovering

    /// Goes on after a batch was not stored: what is in memory is dropped, and read again from where the ledger stands.
    private mutating func recover(from error: any Error, returned stored: TransactionalWriter<Batch>.Stored?) throws {
        if let stored {
            stored.batch.reset()
            spare = stored.batch
        }
        let pause: Duration
        switch error {
        case LedgerError.fenced:
            logger.warning("fenced: waiting for the group to say who owns what", ["error": "\(error)"])
            pause = configuration.fencedPause
        case let error as PostgresError where error.isRetriable:
            logger.warning("a batch was not stored; claiming anew", ["error": "\(error)"])
            pause = retryPause
        default:
            throw error
        }
        metrics.recoveries.increment()
        let partitions = owned.map(\.claim.partition)
        forgetPartitions()
        guard !partitions.isEmpty else { return }
        try consumer.unassign()
        reclaim = (partitions, .now + pause)
    }

    /// The group has not moved the partitions meanwhile: so they are this member's still.
    private mutating func reclaimIfDue() throws {
        guard let due = reclaim, ContinuousClock.now >= due.at else { return }
        try claim(due.partitions)
    }

    // MARK: Kafka's side

    private mutating func handle(_ error: KafkaError, _ place: TopicPartition?) throws {
        if let place, error.name == "_AUTO_OFFSET_RESET" || error.name == "OFFSET_OUT_OF_RANGE" {
            throw LedgerError.recordsGone(
                topic: place.topic, partition: place.partition,
                offset: places[place.partition].map { owned[$0].expected } ?? -1, reason: error.reason)
        }
        guard !error.isFatal else { throw error }
        logger.warning("Kafka error while reading; going on", ["error": "\(error)"])
    }

    /// Tells the group the positions now and then, so that Kafka's own tools show the lag. Nothing depends on it.
    private mutating func commitToGroup(atOnce: Bool) {
        guard !committed.isEmpty, atOnce || ContinuousClock.now - lastGroupCommit >= .seconds(1) else { return }
        lastGroupCommit = .now
        do {
            try consumer.commitAsync(committed)
        } catch {
            logger.debug("the group's offsets were not committed", ["error": "\(error)"])
        }
        committed = [:]
    }
}
