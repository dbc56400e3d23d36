import Kafka
import ServiceKit
import TradeModel

/// What comes from the topic.
extension Reading {
    /// Waits for a record or an event, and takes in the records that are there behind it, up to a bound.
    mutating func takeIn() throws {
        var milliseconds = pollTime()
        for _ in 0..<Self.enough {
            switch consumer.poll(milliseconds: milliseconds) {
            case .record(let record):
                try append(record)
            case .nothing: return
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
    func pollTime() -> Int32 {
        guard gathered > 0, !isWriterBusy else { return claimDue == nil ? 100 : 10 }
        return configuration.commitInterval > .zero ? 10 : 0
    }

    mutating func append(_ record: borrowing KafkaRecord) throws {
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
    mutating func noteFault() throws {
        guard owned[current].fault != nil, claimDue == nil else { return }
        try claimAnew("a partition cannot be read on")
    }

    /// Looks now and then whether Kafka's client is the one that hangs.
    mutating func watchForStalls() throws {
        let now = ContinuousClock.now
        if let since = waitingSince, now - since >= groupPatience {
            // It is not, where Kafka is away, or the topic is not there yet.
            if reachesTopic { throw ReaderStalled(partitions: []) }
            waitingSince = now - groupPatience + .seconds(10)
        }
        guard !owned.isEmpty, !isSuspended, stalls.isDue(at: now) else { return }
        let reading = owned.filter { $0.fault == nil }.map { (partition: $0.claim.partition, offset: $0.readTo) }
        let stalled = stalls.look(at: reading, fetched: consumer.fetchedCount, now: now) { [logs] in
            logs.reaches(beyond: $1, $0)
        }
        guard stalled.isEmpty else { throw ReaderStalled(partitions: stalled) }
    }

    private var reachesTopic: Bool {
        let place = TopicPartition(topic: configuration.topic, partition: 0)
        return (try? consumer.watermarks(place, timeout: .seconds(2))) != nil
    }

    mutating func handle(_ error: KafkaError) throws {
        if error.name == "_AUTO_OFFSET_RESET" || error.name == "OFFSET_OUT_OF_RANGE" {
            // This comes once a partition, then silence: why, the claim finds out.
            return try claimAnew("an offset is out of its log's range")
        }
        guard !error.isFatal else { throw error }
        logger.warning("Kafka error while reading; going on", ["error": "\(error)"])
    }

    /// Tells the group the positions now and then, so that Kafka's own tools show the lag. Nothing depends on it.
    ///
    /// Only of partitions that are owned, and not often: librdkafka 2.0 gives up no partition while a commit is on its way,
    /// and when that fails since the coordinator is away, it can forget to go on, and holds up the whole group.
    mutating func commitToGroup(atOnce: Bool) {
        guard !committed.isEmpty, atOnce || ContinuousClock.now - lastGroupCommit >= .seconds(5) else { return }
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
/// Without partitions: it does not even get any from its group.
struct ReaderStalled: Error, CustomStringConvertible {
    let partitions: [Int32]

    var description: String {
        partitions.isEmpty
            ? "Kafka's client gets no answer from its group as to what to read"
            : "Kafka's client gives no records although there are some"
    }
}

/// A client that gives no records does not let go of its group either: only the end of the process makes it.
struct ReaderHangs: Error, CustomStringConvertible {
    let stalled: ReaderStalled

    var description: String {
        "\(stalled), and cannot be closed; start the program again (partitions: \(stalled.partitions))"
    }
}
