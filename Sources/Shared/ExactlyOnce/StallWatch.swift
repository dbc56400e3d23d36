/// Finds partitions of which Kafka's client gives no records although their logs go on.
///
/// A partition that does not move is suspected after a while; it has stalled when also what was fetched until then has been
/// read, and nothing of it was there. So a database that is behind makes no partition look stalled.
struct StallWatch {
    private struct Progress {
        var readTo: Int64
        var since: ContinuousClock.Instant
        /// How many of the records that were fetched when it became suspect are not read; nil while it is no suspect.
        var rest: Int64?
    }

    /// How long a partition may stay where it is, although there is more of it.
    private let patience: Duration
    private let interval = Duration.seconds(1)
    private var progress: [Int32: Progress] = [:]
    private var nextLook = ContinuousClock.now

    init(patience: Duration) {
        self.patience = patience
    }

    /// Whether it is time to look.
    func isDue(at now: ContinuousClock.Instant) -> Bool { now >= nextLook }

    /// Begins anew, as reading does.
    mutating func reset() {
        progress = [:]
    }

    /// Looks how far the partitions have come since the last time.
    /// - Parameters:
    ///   - readTo: behind what has been read, for each partition that is read.
    ///   - fetched: how many records the client holds ready.
    ///   - goesOn: whether the partition's log reaches beyond the offset.
    /// - Returns: those that have stalled.
    mutating func look(
        at readTo: [(partition: Int32, offset: Int64)], fetched: Int, now: ContinuousClock.Instant,
        goesOn: (Int32, Int64) -> Bool
    ) -> [Int32] {
        nextLook = now + interval
        let read = readTo.reduce(0) { $0 + $1.offset - (progress[$1.partition]?.readTo ?? $1.offset) }
        var stalled: [Int32] = []
        for (partition, offset) in readTo {
            guard var known = progress[partition], known.readTo == offset, goesOn(partition, offset) else {
                progress[partition] = Progress(readTo: offset, since: now)
                continue
            }
            if let rest = known.rest {
                known.rest = rest - read
            } else if now - known.since >= patience {
                known.rest = Int64(fetched)
            }
            progress[partition] = known
            if let rest = known.rest, rest <= 0 || fetched == 0 { stalled.append(partition) }
        }
        return stalled
    }
}
