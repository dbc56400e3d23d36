import TradeModel

/// The reading end of a spool: hands out records in order, remembers which are acknowledged, and begins again at the first
/// that is not whenever that is asked for. Owned by one thread.
final class SpoolReader {
    /// A record, and the number by which it is acknowledged.
    struct Record {
        let token: Int
        let key: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer
    }

    /// A record that is on its way.
    private struct Place {
        var segment = 0
        var end = 0
        var isAcknowledged = false
    }

    let spool: Spool
    /// The places of the records `acknowledged ..< sent`, each at its number modulo the size.
    private var places: [Place]
    /// Records before this one are acknowledged; numbers count from the first one of this run.
    private(set) var acknowledged = 0
    /// The next record to hand out.
    private(set) var sent = 0
    private var current: SpoolSegment?
    private var offset = 0
    /// The file of the first record that is not acknowledged, in which that is noted.
    private var low: SpoolSegment?
    private var lowEnd = 0

    /// - Parameter maximumInFlight: how many records may be handed out and not acknowledged; a power of two.
    init(_ spool: Spool, maximumInFlight: Int = 1 << 15) {
        precondition(maximumInFlight & (maximumInFlight - 1) == 0)
        self.spool = spool
        places = [Place](repeating: Place(), count: maximumInFlight)
    }

    /// Records that are handed out and not acknowledged.
    var inFlight: Int { sent - acknowledged }

    /// Whether too many are on their way for another one.
    var isBlocked: Bool { inFlight == places.count }

    /// Records that are not acknowledged, handed out or not.
    var waiting: Int { spool.written - acknowledged }

    /// The next record, the same one until `advance`; nil when there is none, or too many are on their way.
    func next() throws(SpoolError) -> Record? {
        guard !isBlocked, sent < spool.written else { return nil }
        while true {
            if let record = current?.record(at: offset) {
                return Record(token: sent, key: record.key, value: record.value)
            }
            guard let segment = try spool.openSegment(after: current?.number ?? 0) else {
                throw SpoolError("the spool lacks a file that it had: somebody has removed it")
            }
            current = segment
            offset = segment.acknowledged
            if low == nil { (low, lowEnd) = (segment, offset) }
        }
    }

    /// Takes the record that `next` has answered as handed out.
    func advance() {
        guard let current, let record = current.record(at: offset) else { return }
        offset = record.end
        places[sent & (places.count - 1)] = Place(segment: current.number, end: offset)
        sent += 1
    }

    /// Notes that a record need not be sent again. A number that is not on its way is ignored.
    func acknowledge(_ token: Int) throws(SpoolError) {
        guard acknowledged..<sent ~= token else { return }
        places[token & (places.count - 1)].isAcknowledged = true
        guard token == acknowledged else { return }
        var last = Place()
        while acknowledged < sent, places[acknowledged & (places.count - 1)].isAcknowledged {
            last = places[acknowledged & (places.count - 1)]
            acknowledged += 1
        }
        try note(last)
    }

    /// Begins again with the first record that is not acknowledged.
    func rewind() {
        sent = acknowledged
        current = low
        offset = lowEnd
    }

    /// Writes down how far everything is acknowledged, for the next run, and gives up files that are done with.
    private func note(_ place: Place) throws(SpoolError) {
        if low?.number != place.segment {
            while let segment = try spool.openSegment(after: low?.number ?? 0), segment.number <= place.segment {
                low = segment
            }
            spool.removeSegments(below: place.segment)
        }
        lowEnd = place.end
        low?.acknowledged = place.end
    }
}
