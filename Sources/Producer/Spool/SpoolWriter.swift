import TradeModel

/// The writing end of a spool; owned by one thread, or used under one lock.
///
/// Steady work allocates nothing and calls the system only where a file begins.
final class SpoolWriter {
    let spool: Spool
    private var segment: SpoolSegment
    private var offset = SpoolSegment.headerBytes
    private var lastSequence: Int64
    /// Records that the reader does not know of yet.
    private var unpublished = 0

    /// Begins a new file; those of former runs are only read any more.
    init(_ spool: Spool, lastSequence: Int64, at now: Timestamp) throws(SpoolError) {
        self.spool = spool
        self.lastSequence = lastSequence
        // The feed was heard last when it was heard last, whatever is done now.
        let sign = spool.lastSign ?? now
        guard let segment = try spool.makeSegment(sequenceBefore: lastSequence, lastSign: sign) else {
            throw SpoolError("the spool is full already: raise --spool-max-bytes, or let it be sent first")
        }
        self.segment = segment
    }

    /// Appends a record, which the reader sees after the next `publish`.
    /// - Returns: false when the spool is full, or the disk: nothing is written then.
    @inline(__always)
    func append(
        key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, sequence: Int64
    ) throws(SpoolError) -> Bool {
        var end = segment.write(at: offset, key: key, value: value, sequence: sequence)
        if end == nil {
            guard try beginSegment(for: SpoolSegment.bytes(key: key.count, value: value.count)) else { return false }
            end = segment.write(at: offset, key: key, value: value, sequence: sequence)
        }
        // A new file has room for it.
        offset = end!
        lastSequence = sequence
        unpublished += 1
        return true
    }

    @inline(never)
    private func beginSegment(for bytes: Int) throws(SpoolError) -> Bool {
        guard bytes <= spool.segmentBytes - SpoolSegment.headerBytes else {
            throw SpoolError("a record of \(bytes) bytes is larger than a file of the spool")
        }
        let next = try spool.makeSegment(sequenceBefore: lastSequence, lastSign: segment.lastSign)
        guard let next else { return false }
        segment = next
        offset = SpoolSegment.headerBytes
        return true
    }

    /// Lets the reader have what was appended.
    /// - Parameter now: when the feed was heard, which a restart will know.
    func publish(at now: Timestamp) {
        segment.lastSign = now
        guard unpublished > 0 else { return }
        spool.publish(unpublished)
        unpublished = 0
    }
}
