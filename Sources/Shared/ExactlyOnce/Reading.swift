import Kafka
import Postgres
import ServiceKit
import TradeModel

/// The reading thread's state: which partitions are owned, how far they are gathered, and the batch that is being filled.
///
/// Used by the one thread that polls. What it does with records, batches and partitions is in the extensions.
struct Reading<Batch: TransactionalBatch> {
    let consumer: KafkaConsumer
    let writer: TransactionalWriter<Batch>
    let logs: LogWatch
    let configuration: TopicReaderConfiguration
    let logger: Logger
    let metrics: TopicReaderMetrics
    let shutdown: ShutdownSignal

    /// What the group gives to this member.
    var assigned: [Int32] = []
    /// What of that is claimed, and read.
    var owned: [OwnedPartition] = []
    /// Where each partition stands in `owned`.
    var places: [Int32: Int] = [:]
    /// The place of the last record's partition, which is nearly always that of the next: spares a look-up a record.
    var current = 0
    var halted: Set<Int32> = []
    /// What was wrong with partitions when they were read last.
    var suspected: [Int32: Suspicion] = [:]
    var nextRecheck = ContinuousClock.now

    var filling: Batch
    var spare: Batch?
    var gathered = 0
    var lastSubmit = ContinuousClock.now
    /// Whether the writer has a job whose outcome has not been taken.
    var isWriterBusy = false
    /// When to claim what is assigned; nil while nothing is to be claimed.
    var claimDue: ContinuousClock.Instant?
    /// Whether an answer to the claim under way is still wanted.
    var isClaimWanted = false
    /// Whether nothing is fetched for now, although partitions are owned.
    var isSuspended = false
    var narrowing = Narrowing()
    /// Since when the group has not said what to read; nil while that is known.
    var waitingSince: ContinuousClock.Instant? = .now
    var stalls = StallWatch(patience: .seconds(15))

    var committed: [TopicPartition: Int64] = [:]
    var lastGroupCommit = ContinuousClock.now
    var resendLog = LogThrottle()

    /// While records keep coming, all else is seen to every so many.
    static var enough: Int { 1024 }
    /// How long to pause before claiming anew, so that a fault that lasts causes no storm.
    let retryPause = Duration.milliseconds(100)
    /// How long a stop or a rebalance waits for the database to store what has been gathered. What comes after that is
    /// the ledger's to decide: either it is stored, or the next owner reads it.
    let patience = Duration.seconds(5)
    /// How long reading waits for the writer before it turns to the group.
    let suspendAfter = Duration.seconds(1)
    /// How long the group may take to say what to read: longer than it waits for members that do not come.
    let groupPatience = Duration.seconds(90)
    /// How often it is asked whether somebody has reset what is halted.
    let recheckInterval = Duration.seconds(2)

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
            try watchForStalls()
            if logs.takeDoubt() { try claimAnew("a log is shorter than it was, or gone") }
            if !isWriterBusy { try giveWork() }
            commitToGroup(atOnce: false)
        }
        try flush()
        commitToGroup(atOnce: true)
    }

    /// The writer is free: what has been gathered goes first, then what is to be claimed.
    mutating func giveWork() throws {
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

    mutating func submit(_ job: sending TransactionalWriter<Batch>.Job) {
        isWriterBusy = true
        writer.submit(job)
    }

    // MARK: Room

    var isFull: Bool { filling.isFull || gathered >= narrowing.limit }

    /// Whether one more record may be taken in.
    var hasRoom: Bool { !isFull || !isWriterBusy }

    /// The database is behind: reading waits for it, so memory stays bounded. Not for long, since the group wants to be
    /// heard: then it goes on polling, and fetches nothing.
    mutating func waitForRoom() throws {
        try takeOutcome(within: .milliseconds(200))
        guard !hasRoom, !isSuspended, ContinuousClock.now - lastSubmit >= suspendAfter else { return }
        try suspend()
    }

    mutating func suspend() throws {
        try consumer.unassign()
        isSuspended = true
    }

    mutating func resume() throws {
        isSuspended = false
        try assignOwned()
    }

    mutating func assignOwned() throws {
        var offsets: [TopicPartition: Int64] = [:]
        for place in owned.indices {
            let partition = TopicPartition(topic: configuration.topic, partition: owned[place].claim.partition)
            offsets[partition] = owned[place].beginReading()
        }
        stalls.reset()
        try consumer.assign(offsets)
    }
}

/// A fault of a partition that may be one of Kafka's client.
struct Suspicion: Equatable {
    let position: Int64
    let fault: LogFault
}
