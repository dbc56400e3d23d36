import Kafka
import Postgres
import ServiceKit
import Synchronization

/// The one owner of the database connection: stores batches and claims partitions, on a thread of its own.
///
/// One job at a time. A batch that could not be stored is reported and never tried again from memory: what is in doubt is
/// claimed anew, and read anew from the topic.
final class TransactionalWriter<Batch: TransactionalBatch>: Sendable {
    enum Job {
        case claim([Int32])
        case store(Stored)
    }

    /// A batch on its way, with the positions that move with it, and what it left out.
    struct Stored {
        typealias Resent = (partition: Int32, resends: Resends)

        let batch: Batch
        let advances: [Advance]
        let resends: [Resent]
    }

    enum Outcome {
        case claimed([Claim])
        case stored(Stored)
        /// What went wrong, and the batch that was not stored.
        case failed(any Error, Stored?)
    }

    private struct Exchange {
        var job: Job?
        var outcome: Outcome?
        var isStopping = false
    }

    private let exchange = ConditionLock(Exchange())
    private let finished = Atomic(false)
    private let ledger: OffsetLedger
    private let database: PostgresConfiguration
    private let firstOffset: @Sendable (Int32) throws -> Int64
    private let onFinished: @Sendable () -> Void
    private let logger: Logger
    private let commitTime: ServiceKit.Histogram

    /// Makes the writer; `start` gives it its thread.
    /// - Parameters:
    ///   - firstOffset: the first offset of a partition that was never claimed before.
    ///   - onFinished: called on the writer's thread after each job, to wake the reading thread.
    init(
        ledger: OffsetLedger, database: PostgresConfiguration, logger: Logger, commitTime: ServiceKit.Histogram,
        firstOffset: @escaping @Sendable (Int32) throws -> Int64, onFinished: @escaping @Sendable () -> Void
    ) {
        self.ledger = ledger
        self.database = database
        self.logger = logger
        self.commitTime = commitTime
        self.firstOffset = firstOffset
        self.onFinished = onFinished
    }

    func start() {
        ServiceThread.start("writer") { [self] in run() }
    }

    /// Whether an outcome waits to be taken: cheap enough to ask for each record.
    var hasOutcome: Bool { finished.load(ordering: .acquiring) }

    /// Hands over a job; the outcome of the last one must have been taken.
    func submit(_ job: sending Job) {
        exchange.withLock { $0.job = job }
    }

    /// Waits for the outcome of the job under way; nil after the time given.
    func waitForOutcome(_ duration: Duration) -> Outcome? {
        exchange.wait(for: duration) { exchange in
            finished.store(false, ordering: .releasing)
            return exchange.outcome.take()
        }
    }

    /// Ends the thread after the job under way, and a claim that is being tried again and again.
    func stop() {
        exchange.withLock { $0.isStopping = true }
    }

    private func run() {
        var connection: PostgresConnection?
        while let job = nextJob() {
            let outcome: Outcome
            switch job {
            case .claim(let partitions):
                outcome = claim(partitions, &connection)
            case .store(let stored):
                outcome = store(stored, &connection)
            }
            exchange.withLock { exchange in
                exchange.outcome = outcome
                finished.store(true, ordering: .releasing)
            }
            onFinished()
        }
    }

    /// Waits for a job; nil when there will be none any more.
    private func nextJob() -> Job? {
        exchange.wait { exchange -> Job?? in
            if let job = exchange.job.take() { return .some(job) }
            return exchange.isStopping ? .some(nil) : nil
        }
    }

    /// Claims until it succeeds: without the database there is nothing else to do.
    private func claim(_ partitions: [Int32], _ connection: inout PostgresConnection?) -> Outcome {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                return .claimed(
                    try withConnection(&connection) { try ledger.claim(partitions, &$0, firstOffset: firstOffset) })
            } catch {
                let isRetriable =
                    (error as? PostgresError)?.isRetriable ?? (error as? KafkaError)?.isRetriable ?? false
                guard isRetriable else { return .failed(error, nil) }
                logger.warning(
                    "cannot claim partitions yet; trying again",
                    ["error": "\(error)", "database": database.redactedDescription, "after": pause])
                let isStopping = exchange.wait(for: pause) { $0.isStopping ? true : nil }
                if isStopping != nil { return .failed(error, nil) }
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private func store(_ stored: Stored, _ connection: inout PostgresConnection?) -> Outcome {
        let started = ContinuousClock.now
        do {
            try withConnection(&connection) { connection in
                try connection.begin()
                try stored.batch.write(to: &connection)
                // Last, so that a writer that freezes before it blocks nobody.
                try ledger.advance(stored.advances, &connection)
                try connection.commit()
            }
        } catch {
            return .failed(error, stored)
        }
        commitTime.observe(microseconds: (ContinuousClock.now - started).microseconds)
        return .stored(stored)
    }

    /// Runs work on the connection, making one where there is none. After any error the connection is dropped: its state,
    /// and whether a commit came through, are in doubt, and only a claim can tell.
    private func withConnection<Result>(
        _ connection: inout PostgresConnection?, _ body: (inout PostgresConnection) throws -> Result
    ) throws -> Result {
        var current: PostgresConnection
        if let open = connection.take() {
            current = open
        } else {
            current = try PostgresConnection(database)
            try prepare(&current)
        }
        let result = try body(&current)
        connection = consume current
        return result
    }

    /// A server that hangs, a lock that is never released and a client that stalls must all end by themselves.
    private func prepare(_ connection: inout PostgresConnection) throws {
        try connection.execute(
            """
            SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';
            SET TimeZone = 'UTC'
            """)
    }
}

extension Duration {
    /// The duration in whole microseconds.
    var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
