import TradeModel

/// How far each source has come in one partition, as far as that is read: tells which records were sent again.
///
/// Within a partition the numbers of a source only rise, so one mark a source is enough. Of a source that has just had the
/// record before, a record costs one comparison of the name; nothing is allocated a record. Not for two threads at once.
package struct SourceMarks: Sendable {
    /// Sources that a partition may have, so that whatever a topic holds, memory is bounded.
    package static let maximumSources = 10_000

    private struct Source {
        let name: ShortText
        var sequence: Int64
        /// What the records since the last `takeChanges` have changed.
        var isChanged = false
        var hasRisen = false
        var resent = 0
        var resentOffsets: ClosedRange<Int64> = 0...0

        init(_ name: ShortText, _ sequence: Int64) {
            self.name = name
            self.sequence = sequence
        }

        mutating func admit(_ sequence: Int64, at offset: Int64) -> Bool {
            isChanged = true
            if sequence > self.sequence {
                self.sequence = sequence
                hasRisen = true
                return true
            }
            resentOffsets = resent == 0 ? offset...offset : resentOffsets.lowerBound...offset
            resent += 1
            return false
        }
    }

    private var sources: [Source] = []
    private var places: [ShortText: Int] = [:]
    /// The place of the last record's source, which is nearly always that of the next.
    private var current = 0
    private var changed: [Int] = []

    package init(_ marks: [SourceMark] = []) {
        for mark in marks {
            places[mark.source] = sources.count
            sources.append(Source(mark.source, mark.sequence))
        }
    }

    /// Whether a record is to be stored; if not, it has been stored before, and is counted here.
    /// - Parameter offset: where the record stands in the partition.
    /// - Throws: `tooManySources` when the source is one more than there may be.
    package mutating func admit(
        _ source: ShortText, _ sequence: Int64, at offset: Int64
    ) throws(RejectionReason) -> Bool {
        if current >= sources.count || sources[current].name != source { current = try place(of: source) }
        if !sources[current].isChanged { changed.append(current) }
        return sources[current].admit(sequence, at: offset)
    }

    private mutating func place(of source: ShortText) throws(RejectionReason) -> Int {
        if let place = places[source] { return place }
        guard sources.count < Self.maximumSources else { throw .tooManySources }
        let place = sources.count
        places[source] = place
        sources.append(Source(source, .min))
        return place
    }

    /// What the records have changed since this was asked last.
    mutating func takeChanges() -> Changes {
        var changes = Changes()
        for place in changed {
            let source = sources[place]
            if source.hasRisen { changes.risen.append(SourceMark(source: source.name, sequence: source.sequence)) }
            if source.resent > 0 {
                changes.resends.append(
                    Resends(source: source.name, count: source.resent, offsets: source.resentOffsets))
            }
            sources[place] = Source(source.name, source.sequence)
        }
        changed.removeAll(keepingCapacity: true)
        return changes
    }

    struct Changes {
        var risen: [SourceMark] = []
        var resends: [Resends] = []
    }
}

/// Records of one source that were skipped, since they had been stored before.
struct Resends: Equatable, Sendable {
    let source: ShortText
    let count: Int
    /// The first and the last of them; what stands between may be others.
    let offsets: ClosedRange<Int64>
}
