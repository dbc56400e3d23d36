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

    /// A batch on its way, with the positions that move with it.
    struct Stored {
        let batch: Batch
        let advances: [Advance]
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
    }

    private let exchange = ConditionLock(Exchange())
    private let isFree = Atomic(true)
    private let ledger: OffsetLedger
    private let database: PostgresConfiguration
    private let firstOffset: @Sendable (Int32) throws -> Int64
    private let onFinished: @Sendable () -> Void
    private let logger: Logger
    private let commitTime: ServiceKit.Histogram
    private let connected = Atomic(false)
    private let stopping = Atomic(false)

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

    /// Whether the database can be reached, as far as the last job showed.
    var isConnected: Bool { connected.load(ordering: .relaxed) }

    /// Whether the last job is done, and its outcome waits to be taken or was taken.
    var isIdle: Bool { isFree.load(ordering: .acquiring) }

    /// Hands over a job; the writer must be idle and the last outcome taken.
    func submit(_ job: sending Job) {
        isFree.store(false, ordering: .releasing)
        exchange.withLock { $0.job = job }
    }

    /// The outcome of the last job, once.
    func takeOutcome() -> Outcome? {
        exchange.withLock { $0.outcome.take() }
    }

    /// Waits for the outcome of the job under way; nil after the time given.
    func waitForOutcome(_ duration: Duration) -> Outcome? {
        exchange.wait(for: duration) { $0.outcome.take() }
    }

    /// Ends the attempts to reach a database that is away, and the thread after its last job.
    func stop() {
        exchange.withLock { _ in stopping.store(true, ordering: .releasing) }
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
            exchange.withLock { $0.outcome = outcome }
            isFree.store(true, ordering: .releasing)
            onFinished()
        }
    }

    /// Waits for a job; nil when there will be none any more.
    private func nextJob() -> Job? {
        exchange.wait { exchange -> Job?? in
            if let job = exchange.job.take() { return .some(job) }
            return stopping.load(ordering: .acquiring) ? .some(nil) : nil
        }
    }

    /// Claims until it succeeds: without the database there is nothing else to do.
    private func claim(_ partitions: [Int32], _ connection: inout PostgresConnection?) -> Outcome {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                return .claimed(
                    try withConnection(&connection) { try ledger.claim(partitions, &$0, firstOffset: firstOffset) })
            } catch let error as LedgerError {
                return .failed(error, nil)
            } catch {
                let isRetriable =
                    (error as? PostgresError)?.isRetriable ?? (error as? KafkaError)?.isRetriable ?? false
                guard isRetriable, !stopping.load(ordering: .acquiring) else {
                    return .failed(error, nil)
                }
                logger.warning(
                    "cannot claim partitions yet; trying again",
                    ["error": "\(error)", "database": database.redactedDescription, "after": pause])
                sleepUnlessStopping(pause)
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
        do {
            var current: PostgresConnection
            if let open = connection.take() {
                current = open
            } else {
                current = try PostgresConnection(database)
                try prepare(&current)
            }
            connected.store(true, ordering: .relaxed)
            let result = try body(&current)
            connection = consume current
            return result
        } catch {
            connected.store(false, ordering: .relaxed)
            throw error
        }
    }

    /// A server that hangs, a lock that is never released and a client that stalls must all end by themselves.
    private func prepare(_ connection: inout PostgresConnection) throws {
        try connection.execute(
            """
            SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';
            SET TimeZone = 'UTC'
            """)
    }

    private func sleepUnlessStopping(_ duration: Duration) {
        let deadline = ContinuousClock.now + duration
        while ContinuousClock.now < deadline, !stopping.load(ordering: .acquiring) {
            _ = exchange.wait(for: .milliseconds(50)) { _ in nil as Void? }
        }
    }
}

extension Duration {
    /// The duration in whole microseconds.
    var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
