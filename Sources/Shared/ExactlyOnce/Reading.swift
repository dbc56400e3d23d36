import Kafka
import Postgres
import ServiceKit
import TradeModel

/// The reading thread's state: which partitions are owned, how far they are gathered, and the batch that is being filled.
///
/// Used by the one thread that polls.
struct Reading<Batch: TransactionalBatch> {
    let consumer: KafkaConsumer
    let writer: TransactionalWriter<Batch>
    let logs: LogWatch
    let configuration: TopicReaderConfiguration
    let logger: Logger
    let metrics: TopicReaderMetrics
    let shutdown: ShutdownSignal

    /// What the group gives to this member, and how often it has changed its mind.
    private var assigned: [Int32] = []
    /// What of that is claimed, and read.
    private var owned: [OwnedPartition] = []
    /// Where each partition stands in `owned`.
    private var places: [Int32: Int] = [:]
    /// The place of the last record's partition, which is nearly always that of the next: spares a look-up a record.
    private var current = 0
    private var halted: Set<Int32> = []
    private var nextRecheck = ContinuousClock.now

    private var filling: Batch
    private var spare: Batch?
    private var gathered = 0
    private var lastSubmit = ContinuousClock.now
    /// Whether the writer has a job whose outcome has not been taken.
    private var isWriterBusy = false
    /// When to claim what is assigned; nil while nothing is to be claimed.
    private var claimDue: ContinuousClock.Instant?
    /// Whether an answer to the claim under way is still wanted.
    private var isClaimWanted = false
    /// Whether nothing is fetched for now, although partitions are owned.
    private var isSuspended = false
    private var narrowing = Narrowing()
    /// Whether no record has come since `quietSince`.
    private var isQuiet = false
    private var quietSince = ContinuousClock.now

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
    /// How long reading waits for the writer before it turns to the group.
    private let suspendAfter = Duration.seconds(1)
    /// How long no record may come although there are some.
    private let stallAfter = Duration.seconds(15)
    /// How often it is asked whether somebody has reset what is halted.
    private let recheckInterval = Duration.seconds(2)

    init(
        consumer: KafkaConsumer, writer: TransactionalWriter<Batch>, logs: LogWatch,
        configuration: TopicReaderConfiguration, logger: Logger, metrics: TopicReaderMetrics, shutdown: ShutdownSignal,
        batches: sending (Batch, Batch)
    ) {
        self.shutdown = shutdown
        self.consumer = consumer
        self.writer = writer
        self.logs = logs
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        (filling, spare) = batches
    }

    /// Reads and stores until asked to stop; then stores what has been gathered.
    mutating func loop() throws {
        while !shutdown.isRequested {
            if writer.hasOutcome { try takeOutcome(within: .zero) }
            if !hasRoom, !isSuspended {
                try waitForRoom()
                continue
            }
            try takeIn()
            if logs.takeDoubt() { try claimAnew("a log is shorter than it was, or gone") }
            if !isWriterBusy { try giveWork() }
            commitToGroup(atOnce: false)
        }
        try flush()
        commitToGroup(atOnce: true)
    }

    /// The writer is free: what has been gathered goes first, then what is to be claimed.
    private mutating func giveWork() throws {
        if gathered > 0 {
            submitIfDue()
        } else if let due = claimDue {
            if ContinuousClock.now >= due { submitClaim() }
        } else if isSuspended {
            try resume()
        } else if !halted.isEmpty, ContinuousClock.now >= nextRecheck {
            submit(.recheck(Array(halted)))
        }
    }

    private mutating func submit(_ job: sending TransactionalWriter<Batch>.Job) {
        isWriterBusy = true
        writer.submit(job)
    }

    // MARK: Room

    private var isFull: Bool { filling.isFull || gathered >= narrowing.limit }

    /// Whether one more record may be taken in.
    private var hasRoom: Bool { !isFull || !isWriterBusy }

    /// The database is behind: reading waits for it, so memory stays bounded. Not for long, since the group wants to be
    /// heard: then it goes on polling, and fetches nothing.
    private mutating func waitForRoom() throws {
        try takeOutcome(within: .milliseconds(200))
        guard !hasRoom, !isSuspended, ContinuousClock.now - lastSubmit >= suspendAfter else { return }
        try suspend()
    }

    private mutating func suspend() throws {
        try consumer.unassign()
        isSuspended = true
    }

    private mutating func resume() throws {
        isSuspended = false
        try assignOwned()
    }

    private mutating func assignOwned() throws {
        var offsets: [TopicPartition: Int64] = [:]
        for place in owned.indices {
            let partition = TopicPartition(topic: configuration.topic, partition: owned[place].claim.partition)
            offsets[partition] = owned[place].beginReading()
        }
        quietSince = .now
        try consumer.assign(offsets)
    }

    /// There is nothing to read just now: unless the log says otherwise, and Kafka's client is the one that hangs.
    private mutating func noteQuiet() throws {
        guard !owned.isEmpty, !isSuspended else { return }
        if !isQuiet {
            isQuiet = true
            quietSince = .now
        }
        guard ContinuousClock.now - quietSince >= stallAfter else { return }
        let waiting = owned.filter { $0.fault == nil && logs.reaches(beyond: $0.readTo, $0.claim.partition) }
        guard waiting.isEmpty else { throw ReaderStalled(partitions: waiting.map(\.claim.partition)) }
        quietSince = .now
    }

    // MARK: Reading

    /// Waits for a record or an event, and takes in the records that are there behind it, up to a bound.
    private mutating func takeIn() throws {
        var milliseconds = pollTime()
        for _ in 0..<Self.enough {
            switch consumer.poll(milliseconds: milliseconds) {
            case .record(let record):
                try append(record)
                isQuiet = false
            case .nothing: return try noteQuiet()
            case .rebalance(let rebalance): return try handle(rebalance)
            case .failure(let error, _): return try handle(error)
            }
            if isFull { return }
            // A poll that need not wait need not read the clock either.
            milliseconds = 0
        }
        if consumer.fetchedCount < KafkaSettings.fetchedAhead / 2 { logs.nudge() }
    }

    /// How long to wait for a record. The writer wakes the poll when it is done, so waiting costs no latency.
    private func pollTime() -> Int32 {
        guard gathered > 0, !isWriterBusy else { return claimDue == nil ? 100 : 10 }
        return configuration.commitInterval > .zero ? 10 : 0
    }

    private mutating func append(_ record: borrowing KafkaRecord) throws {
        if current >= owned.count || owned[current].claim.partition != record.partition {
            guard let place = places[record.partition] else { return }  // fetched before the partition was given up
            current = place
        }
        Failpoint.afterPoll.reach(configuration.topic, record.partition, record.offset)
        if record.offset != owned[current].expected {
            guard owned[current].judge(record) else { return try noteFault() }
        }
        let id = RowID.of(log: owned[current].claim.log, partition: record.partition, offset: record.offset)
        if narrowing.condemns(id) {
            filling.reject(record, id: id, .refusedByDatabase)
        } else {
            filling.append(record, id: id, marks: &owned[current].marks)
        }
        owned[current].advance(past: record)
        gathered += 1
    }

    /// Of a partition that cannot be read on: what has been gathered is stored, then all is claimed anew, which writes the
    /// fault down.
    @inline(never)
    private mutating func noteFault() throws {
        guard owned[current].fault != nil, claimDue == nil else { return }
        try claimAnew("a partition cannot be read on")
    }

    // MARK: Storing

    private mutating func submitIfDue() {
        guard let next = spare else { return }
        let isDue = ContinuousClock.now - lastSubmit >= configuration.commitInterval
        guard isDue || isFull || claimDue != nil else { return }
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
        metrics.batchRecords.set(Int64(gathered))
        lastSubmit = .now
        gathered = 0
        let full = filling
        filling = next
        spare = nil
        // The batch now belongs to the writer until its outcome is taken.
        nonisolated(unsafe) let job = TransactionalWriter<Batch>.Job.store(
            .init(batch: full, advances: advances, resends: resends))
        submit(job)
    }

    private mutating func takeOutcome(within duration: Duration) throws {
        if let outcome = writer.waitForOutcome(duration) { try handle(outcome) }
    }

    private mutating func handle(_ outcome: TransactionalWriter<Batch>.Outcome) throws {
        isWriterBusy = false
        switch outcome {
        case .stored(let stored):
            noteStored(stored)
            stored.batch.reset()
            spare = stored.batch
        case .claimed(let answer):
            if isClaimWanted { try begin(answer) }
        case .halted(let still):
            nextRecheck = .now + recheckInterval
            if still != halted { try claimAnew("a partition was reset") }
        case .failed(let error, let stored):
            if let stored { try recover(from: error, stored) } else if isClaimWanted { throw error }
        case .abandoned: break
        }
    }

    private mutating func noteStored(_ stored: TransactionalWriter<Batch>.Stored) {
        metrics.batches.increment()
        narrowing.noteStored()
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
        try waitForWriter(until: deadline)
        guard gathered > 0, !isWriterBusy, let next = spare else { return }
        submit(next)
        try waitForWriter(until: deadline)
    }

    private mutating func waitForWriter(until deadline: ContinuousClock.Instant) throws {
        while isWriterBusy, ContinuousClock.now < deadline { try takeOutcome(within: .milliseconds(200)) }
    }

    // MARK: Owning

    private mutating func handle(_ rebalance: KafkaRebalance) throws {
        switch rebalance {
        case .assigned(let places):
            logger.info(
                "partitions assigned",
                ["kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition))])
            forgetAssignment()
            assigned = places.map(\.partition)
            // The group is answered at once. What is read, the claim decides, however long that takes.
            try consumer.assign([:])
            claimDue = assigned.isEmpty ? nil : .now
        case .revoked(let places, let lost):
            logger.info(
                "partitions revoked",
                [
                    "kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition)),
                    "kafka.lost": "\(lost)",
                ])
            for partition in owned {
                Failpoint.inRevoke.reach(configuration.topic, partition.claim.partition, partition.readTo - 1)
            }
            // A claim that came after those of the next owners would fence them.
            abandonClaim()
            // Of lost partitions nothing more is stored; what is on its way already, the ledger decides.
            if !lost { try flush() }
            forgetAssignment()
            try consumer.unassign()
        }
    }

    private static func list(_ partitions: some Sequence<Int32>) -> String {
        partitions.sorted().map(String.init).joined(separator: ",")
    }

    private mutating func submitClaim() {
        let faults = owned.compactMap { partition in
            partition.fault.map { (claim: partition.claim, position: partition.readTo, fault: $0) }
        }
        forgetOwned()
        claimDue = nil
        isClaimWanted = true
        submit(.claim(.init(partitions: assigned, faults: faults)))
    }

    private mutating func begin(_ answer: ClaimAnswer) throws {
        isSuspended = false
        owned = answer.claims.map { OwnedPartition($0, position: metrics.nextOffset($0.partition)) }
        places = Dictionary(uniqueKeysWithValues: owned.enumerated().map { ($1.claim.partition, $0) })
        metrics.assignedPartitions.set(Int64(owned.count))
        note(halted: answer.halted)
        logs.watch(owned.map(\.claim.partition))
        try assignOwned()
    }

    private mutating func note(halted partitions: [HaltedPartition]) {
        for partition in halted { metrics.halted(partition).set(0) }
        for partition in partitions {
            metrics.halted(partition.partition).set(1)
            guard !halted.contains(partition.partition) else { continue }
            logger.error(
                "a partition is halted until it is reset; the others go on",
                [
                    "kafka.topic": configuration.topic, "kafka.partition": partition.partition,
                    "reader": configuration.reader, "error": partition.reason,
                ])
        }
        halted = Set(partitions.map(\.partition))
        metrics.haltedPartitions.set(Int64(halted.count))
        nextRecheck = .now + recheckInterval
    }

    /// Drops everything that is not on its way to the database.
    private mutating func forgetOwned() {
        owned = []
        places = [:]
        filling.reset()
        gathered = 0
        metrics.assignedPartitions.set(0)
        logs.watch([])
    }

    private mutating func forgetAssignment() {
        forgetOwned()
        assigned = []
        note(halted: [])
        claimDue = nil
        isSuspended = false
        abandonClaim()
    }

    private mutating func abandonClaim() {
        isClaimWanted = false
        writer.abandonClaim()
    }

    // MARK: Recovering

    /// Goes on after a batch was not stored: what is in memory is dropped, and read again from where the ledger stands.
    private mutating func recover(
        from error: any Error, _ stored: TransactionalWriter<Batch>.Stored
    ) throws {
        stored.batch.reset()
        spare = stored.batch
        let pause: Duration
        switch error {
        case LedgerError.fenced:
            logger.warning("fenced: waiting for the group to say who owns what", ["error": "\(error)"])
            pause = configuration.fencedPause
        case let error as PostgresError where error.isRetriable:
            logger.warning("a batch was not stored; claiming anew", ["error": "\(error)"])
            pause = retryPause
        case let error as PostgresError where error.isDataError:
            try narrow(down: stored, error)
            pause = .zero
        default:
            throw error
        }
        metrics.recoveries.increment()
        forgetOwned()
        guard !assigned.isEmpty else { return }
        try suspend()
        // A new assignment is claimed already without a pause.
        claimDue = claimDue ?? .now + pause
    }

    /// Of a batch that the database refuses, one row is to blame: smaller batches find it, and the quarantine takes it.
    private mutating func narrow(down stored: TransactionalWriter<Batch>.Stored, _ error: PostgresError) throws {
        let records = stored.recordCount
        let only = stored.advances.first.map {
            RowID.of(log: $0.claim.log, partition: $0.claim.partition, offset: $0.from)
        }
        guard narrowing.narrow(from: records, to: only) else { throw error }
        logger.warning(
            records > 1 ? "the database refuses a batch; looking for the row" : "the database refuses a record",
            ["kafka.topic": configuration.topic, "records": records, "row": only ?? 0, "error": "\(error)"])
    }

    /// What has been gathered is stored, then the positions are held against the logs again.
    private mutating func claimAnew(_ reason: StaticString) throws {
        guard !assigned.isEmpty, claimDue == nil else { return }
        logger.info("claiming anew", ["kafka.topic": configuration.topic, "reason": "\(reason)"])
        if !isSuspended { try suspend() }
        claimDue = .now
    }

    // MARK: Kafka's side

    private mutating func handle(_ error: KafkaError) throws {
        if error.name == "_AUTO_OFFSET_RESET" || error.name == "OFFSET_OUT_OF_RANGE" {
            // This comes once a partition, then silence: why, the claim finds out.
            return try claimAnew("an offset is out of its log's range")
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

/// There are records, and Kafka's client gives none: as librdkafka 2.0 does for ever when a topic was made anew under it.
struct ReaderStalled: Error {
    let partitions: [Int32]
}
