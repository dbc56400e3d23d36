import ServiceKit

/// A partition that this member owns, and how far it has been read.
struct OwnedPartition {
    let claim: Claim
    /// The offset that the next record must have.
    var expected: Int64
    /// How far its sources have come: as far as is stored when it is claimed, then ahead of that like `expected`.
    var marks: SourceMarks
    /// What the ledger says, for those who watch.
    let position: Gauge
    /// Where the batch that is being filled begins.
    private var batchStart: Int64

    init(_ claim: Claim, position: Gauge) {
        self.claim = claim
        self.position = position
        expected = claim.nextOffset
        batchStart = claim.nextOffset
        marks = SourceMarks(claim.marks)
        position.set(claim.nextOffset)
    }

    /// What the batch that is being filled has of this partition; the next one begins behind it. Nil when it has nothing.
    mutating func takeAdvance() -> (advance: Advance, resends: [Resends])? {
        guard expected > batchStart else { return nil }
        let changes = marks.takeChanges()
        let advance = Advance(claim: claim, from: batchStart, to: expected, marks: changes.risen)
        batchStart = expected
        return (advance, changes.resends)
    }
}
