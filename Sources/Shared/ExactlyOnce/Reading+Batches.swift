import Kafka
import Postgres
import ServiceKit

/// What goes to the writer, and what becomes of it.
extension Reading {
    mutating func submitIfDue() {
        guard let next = spare else { return }
        let isDue = ContinuousClock.now - lastSubmit >= configuration.commitInterval
        guard isDue || isFull || claimDue != nil else { return }
        submit(next)
    }

    mutating func submit(_ next: Batch) {
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

    mutating func takeOutcome(within duration: Duration) throws {
        if let outcome = writer.waitForOutcome(duration) { try handle(outcome) }
    }

    mutating func handle(_ outcome: TransactionalWriter<Batch>.Outcome) throws {
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

    mutating func noteStored(_ stored: TransactionalWriter<Batch>.Stored) {
        metrics.batches.increment()
        narrowing.noteStored()
        var records: Int64 = 0
        for advance in stored.advances {
            records += advance.to - advance.from
            guard let place = places[advance.claim.partition] else { continue }
            owned[place].position.set(advance.to)
            committed[TopicPartition(topic: configuration.topic, partition: advance.claim.partition)] = advance.to
        }
        let resent = stored.resends.reduce(0) { $0 + Int64($1.resends.count) }
        metrics.recordsStored.increment(by: records - resent)
        metrics.recordsResent.increment(by: resent)
        for (partition, resends) in stored.resends where resendLog.allows() { warn(of: resends, in: partition) }
    }

    func warn(of resends: Resends, in partition: Int32) {
        logger.warning(
            "records that had been stored before were skipped: a producer sent them again, or two use one source id",
            [
                "kafka.topic": configuration.topic, "kafka.partition": partition, "source": "\(resends.source)",
                "records": resends.count, "kafka.offset.first": resends.offsets.lowerBound,
                "kafka.offset.last": resends.offsets.upperBound,
            ])
    }

    /// Stores what has been gathered, and waits for it, though not for ever.
    mutating func flush() throws {
        let deadline = ContinuousClock.now + patience
        try waitForWriter(until: deadline)
        guard gathered > 0, !isWriterBusy, let next = spare else { return }
        submit(next)
        try waitForWriter(until: deadline)
    }

    mutating func waitForWriter(until deadline: ContinuousClock.Instant) throws {
        while isWriterBusy, ContinuousClock.now < deadline { try takeOutcome(within: .milliseconds(200)) }
    }

    /// Goes on after a batch was not stored: what is in memory is dropped, and read again from where the ledger stands.
    mutating func recover(
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
    mutating func narrow(down stored: TransactionalWriter<Batch>.Stored, _ error: PostgresError) throws {
        let records = stored.recordCount
        let only = stored.advances.first.map {
            RowID.of(log: $0.claim.log, partition: $0.claim.partition, offset: $0.from)
        }
        guard narrowing.narrow(from: records, to: only) else { throw error }
        logger.warning(
            records > 1 ? "the database refuses a batch; looking for the row" : "the database refuses a record",
            ["kafka.topic": configuration.topic, "records": records, "row": only ?? 0, "error": "\(error)"])
    }
}
