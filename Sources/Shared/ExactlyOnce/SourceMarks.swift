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
        /// What `takeChanges` has told.
        var told: Int64
        var isVisited = false
        var resent = 0
        var resentOffsets: ClosedRange<Int64> = 0...0

        init(_ name: ShortText, _ sequence: Int64) {
            self.name = name
            self.sequence = sequence
            told = sequence
        }

        mutating func noteResent(at offset: Int64) {
            resentOffsets = resent == 0 ? offset...offset : resentOffsets.lowerBound...offset
            resent += 1
        }
    }

    /// The last record's source, which is nearly always that of the next, and where it stands in `sources`: there it is
    /// out of date.
    private var current = Source(ShortText(), .min)
    private var currentPlace: Int?
    private var sources: [Source] = []
    private var places: [ShortText: Int] = [:]
    /// The sources of the records since `takeChanges`.
    private var visited: [Int] = []

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
        // By == itself, which is called straight: != asks for it at run time.
        let isCurrent = currentPlace != nil && current.name == source
        if !isCurrent { try visit(source) }
        guard sequence > current.sequence else {
            current.noteResent(at: offset)
            return false
        }
        current.sequence = sequence
        return true
    }

    private mutating func visit(_ source: ShortText) throws(RejectionReason) {
        leave()
        let place: Int
        if let known = places[source] {
            place = known
        } else {
            guard sources.count < Self.maximumSources else { throw .tooManySources }
            place = sources.count
            places[source] = place
            sources.append(Source(source, .min))
        }
        if !sources[place].isVisited { visited.append(place) }
        current = sources[place]
        current.isVisited = true
        currentPlace = place
    }

    private mutating func leave() {
        if let place = currentPlace { sources[place] = current }
        currentPlace = nil
    }

    /// What the records have changed since this was asked last.
    mutating func takeChanges() -> Changes {
        leave()
        var changes = Changes()
        for place in visited {
            let source = sources[place]
            if source.sequence != source.told {
                changes.risen.append(SourceMark(source: source.name, sequence: source.sequence))
            }
            if source.resent > 0 {
                changes.resends.append(
                    Resends(source: source.name, count: source.resent, offsets: source.resentOffsets))
            }
            sources[place] = Source(source.name, source.sequence)
        }
        visited.removeAll(keepingCapacity: true)
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
