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
        case claim(ClaimRequest)
        case store(Stored)
        /// To ask which of these partitions are still halted.
        case recheck([Int32])
    }

    /// What to claim, and the faults to write down before.
    struct ClaimRequest {
        typealias Fault = (claim: Claim, position: Int64, fault: LogFault)

        let partitions: [Int32]
        let faults: [Fault]
    }

    /// A batch on its way, with the positions that move with it, and what it left out.
    struct Stored {
        typealias Resent = (partition: Int32, resends: Resends)

        let batch: Batch
        let advances: [Advance]
        let resends: [Resent]

        var recordCount: Int { advances.reduce(0) { $0 + Int($1.to - $1.from) } }
    }

    enum Outcome {
        case claimed(ClaimAnswer)
        case stored(Stored)
        case halted(Set<Int32>)
        /// What went wrong, and the batch that was not stored.
        case failed(any Error, Stored?)
        /// A claim was not wanted any more.
        case abandoned
    }

    private struct Exchange {
        var job: Job?
        var outcome: Outcome?
        var isAbandoned = false
        var isStopping = false
    }

    private let exchange = ConditionLock(Exchange())
    private let finished = Atomic(false)
    private let ledger: OffsetLedger
    private let database: PostgresConfiguration
    private let watermarks: @Sendable (Int32) throws -> (low: Int64, high: Int64)
    private let onFinished: @Sendable () -> Void
    private let logger: Logger
    private let commitTime: ServiceKit.Histogram

    /// Makes the writer; `start` gives it its thread.
    /// - Parameters:
    ///   - watermarks: a partition's first offset, and the one behind its last record.
    ///   - onFinished: called on the writer's thread after each job, to wake the reading thread.
    init(
        ledger: OffsetLedger, database: PostgresConfiguration, logger: Logger, commitTime: ServiceKit.Histogram,
        watermarks: @escaping @Sendable (Int32) throws -> (low: Int64, high: Int64),
        onFinished: @escaping @Sendable () -> Void
    ) {
        self.ledger = ledger
        self.database = database
        self.logger = logger
        self.commitTime = commitTime
        self.watermarks = watermarks
        self.onFinished = onFinished
    }

    func start() {
        ServiceThread.start("writer") { [self] in run() }
    }

    /// Whether an outcome waits to be taken: cheap enough to ask for each record.
    var hasOutcome: Bool { finished.load(ordering: .acquiring) }

    /// Hands over a job; the outcome of the last one must have been taken.
    func submit(_ job: sending Job) {
        exchange.withLock {
            $0.job = job
            $0.isAbandoned = false
        }
    }

    /// Ends a claim that is being tried again and again; it is not wanted any more.
    func abandonClaim() {
        exchange.withLock { $0.isAbandoned = true }
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
        var suspects: [DatabaseSession] = []
        while let job = nextJob() {
            let outcome: Outcome
            switch job {
            case .claim(let request): outcome = claim(request, &suspects, &connection)
            case .store(let stored): outcome = store(stored, &suspects, &connection)
            case .recheck(let partitions): outcome = recheck(partitions, &connection)
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

    /// - Parameter suspects: sessions of former owners that may hold what this batch needs.
    private func store(
        _ stored: Stored, _ suspects: inout [DatabaseSession], _ connection: inout PostgresConnection?
    ) -> Outcome {
        let started = ContinuousClock.now
        do {
            try withConnection(&connection) { connection in
                Failpoint.watch(ledger.topic, stored.advances, &connection)
                Failpoint.afterEncode.reach(ledger.topic, stored.advances, &connection)
                if suspects.isEmpty, !Failpoint.needsSteps, let call = try stored.batch.call() {
                    let advance = try ledger.call(toAdvance: stored.advances, connection)
                    try connection.executeAndCommit(
                        "SELECT \(call.expression), \(advance)", parameters: call.parameters)
                } else {
                    connection.beginWithNextStatement(limits: suspects.isEmpty ? .batch : .claim)
                    try stored.batch.write(to: &connection)
                    Failpoint.beforeCompareAndSet.reach(ledger.topic, stored.advances, &connection)
                    // Last, so that a writer that freezes before it blocks nobody; it goes to the server with the COMMIT.
                    try ledger.advance(stored.advances, &connection)
                    Failpoint.afterCompareAndSet.reach(ledger.topic, stored.advances, &connection)
                    try connection.commit()
                }
                Failpoint.afterCommitTag.reach(ledger.topic, stored.advances, &connection)
            }
        } catch {
            let fenced = (error as? PostgresError).flatMap { LedgerError(fencing: $0) }
            return .failed(fenced ?? error, stored)
        }
        suspects = []
        commitTime.observe(microseconds: (ContinuousClock.now - started).microseconds)
        return .stored(stored)
    }

    /// Runs work on the connection, making one where there is none. After any error the connection is dropped: its state,
    /// and whether a commit came through, are in doubt, and only a claim can tell.
    private func withConnection<Result>(
        _ connection: inout PostgresConnection?, _ body: (inout PostgresConnection) throws -> Result
    ) throws -> Result {
        var current: PostgresConnection
        if let open = connection.take() { current = open } else { current = try PostgresConnection(database) }
        let result = try body(&current)
        connection = consume current
        return result
    }
}

// MARK: - Claiming

extension TransactionalWriter {
    /// Claims until it succeeds: without the database there is nothing else to do.
    private func claim(
        _ request: ClaimRequest, _ suspects: inout [DatabaseSession], _ connection: inout PostgresConnection?
    ) -> Outcome {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                let answer = try withConnection(&connection) { try claim(request, &suspects, connection: &$0) }
                return answer.map { .claimed($0) } ?? .abandoned
            } catch {
                guard Self.isRetriable(error) else { return .failed(error, nil) }
                logger.warning(
                    "cannot claim partitions yet; trying again",
                    ["error": "\(error)", "database": database.redactedDescription, "after": pause])
                if isUnwanted(after: pause) { return .abandoned }
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private static func isRetriable(_ error: any Error) -> Bool {
        switch error {
        case let error as PostgresError: error.isRetriable
        // A topic that is deleted and made anew in mid-run.
        case let error as KafkaError: error.isRetriable || error.name.contains("UNKNOWN_")
        default: false
        }
    }

    /// Waits for so long, or until the claim is not wanted any more.
    private func isUnwanted(after pause: Duration) -> Bool {
        exchange.wait(for: pause) { $0.isStopping || $0.isAbandoned ? true : nil } ?? false
    }

    /// - Returns: nil when it is not wanted any more.
    private func claim(
        _ request: ClaimRequest, _ suspects: inout [DatabaseSession], connection: inout PostgresConnection
    ) throws -> ClaimAnswer? {
        end(&suspects, &connection)
        for (claim, position, fault) in request.faults {
            _ = try ledger.halt(claim, at: position, fault, &connection)
        }
        var answer: ClaimAnswer
        do {
            answer = try ledger.claim(request.partitions, &connection) { try watermarks($0).low }
        } catch let error as PostgresError {
            guard error.isLockTimeout else { throw error }
            try connection.rollback()
            suspects = try ledger.busy(try ledger.owners(of: request.partitions, &connection), &connection)
            throw error
        }
        suspects = try ledger.busy(answer.formerOwners, &connection)
        guard let faults = try judge(&answer) else { return nil }
        for (claim, fault) in faults {
            answer.claims.removeAll { $0.partition == claim.partition }
            if let halted = try ledger.halt(claim, at: claim.nextOffset, fault, &connection) {
                answer.halted.append(halted)
            }
        }
        return answer
    }

    /// Ends what is still in the transaction in which it was in the way.
    private func end(_ suspects: inout [DatabaseSession], _ connection: inout PostgresConnection) {
        defer { suspects = [] }
        do {
            let count = try ledger.end(suspects, &connection)
            guard count > 0 else { return }
            logger.warning("ended sessions of a former owner that were still in a transaction", ["sessions": count])
        } catch {
            // Without that right, the new owner waits for the locks of the former.
            logger.warning("cannot end the session of a former owner", ["error": "\(error)"])
        }
    }

    /// Holds the positions against their logs.
    /// - Returns: what is wrong; nil when the claim is not wanted any more.
    private func judge(_ answer: inout ClaimAnswer) throws -> [(claim: Claim, fault: LogFault)]? {
        var faults: [(claim: Claim, fault: LogFault)] = []
        var seemShorter = Set(answer.claims.map(\.partition))
        // A leader that was just elected may tell an older end for a moment.
        for attempt in 1...6 {
            for index in answer.claims.indices where seemShorter.contains(answer.claims[index].partition) {
                let claim = answer.claims[index]
                let marks = try watermarks(claim.partition)
                if claim.nextOffset > marks.high {
                    if attempt == 6 { faults.append((claim, .shorter(end: marks.high))) }
                    continue
                }
                seemShorter.remove(claim.partition)
                if claim.nextOffset < marks.low { faults.append((claim, .expired(first: marks.low))) }
                // There is no record any more before the first.
                if claim.nextOffset <= marks.low { answer.claims[index].anchor = nil }
            }
            if seemShorter.isEmpty || attempt == 6 { break }
            if isUnwanted(after: .milliseconds(500)) { return nil }
        }
        return faults
    }

    private func recheck(_ partitions: [Int32], _ connection: inout PostgresConnection?) -> Outcome {
        do {
            return .halted(try withConnection(&connection) { try ledger.halted(among: partitions, &$0) })
        } catch {
            logger.debug("cannot ask whether partitions are still halted", ["error": "\(error)"])
            return .halted(Set(partitions))
        }
    }
}

extension Duration {
    /// The duration in whole microseconds.
    var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
