import Kafka
import ServiceKit
import TradeModel

/// A partition that this member owns, and how far it has been read.
struct OwnedPartition {
    let claim: Claim
    /// The offset that the next record must have; `none` while there is no such record.
    private(set) var expected: Int64
    /// How far its sources have come: as far as is stored when it is claimed, then ahead of that like `expected`.
    var marks: SourceMarks
    /// What the ledger says, for those who watch.
    let position: Gauge
    /// Why no more of it is taken in.
    private(set) var fault: LogFault?
    /// Behind what has been read.
    private(set) var readTo: Int64
    /// Where the batch that is being filled begins.
    private var batchStart: Int64
    /// The record before `readTo`, where that is known.
    private var anchor: Anchor

    /// An offset that no record has.
    private static var none: Int64 { -1 }

    init(_ claim: Claim, position: Gauge) {
        self.claim = claim
        self.position = position
        // What was stored last is read again and compared, before anything else is taken in.
        expected = claim.nextOffset
        readTo = claim.nextOffset
        batchStart = claim.nextOffset
        anchor = Anchor(claim.anchor)
        marks = SourceMarks(claim.marks)
        position.set(claim.nextOffset)
    }

    /// Where reading begins, or goes on: what was read last is read again and compared, before anything else is taken in.
    mutating func beginReading() -> Int64 {
        guard anchor.value() != nil, fault == nil else { return readTo }
        expected = Self.none
        return readTo - 1
    }

    /// The record that was expected has been taken in.
    @inline(__always)
    mutating func advance(past record: borrowing KafkaRecord) {
        expected += 1
        readTo = expected
        anchor.move(to: record.value)
    }

    /// Judges a record that is not the expected one.
    /// - Returns: whether it is to be taken in all the same.
    mutating func judge(_ record: borrowing KafkaRecord) -> Bool {
        guard fault == nil else { return false }
        let isConfirming = expected == Self.none
        if isConfirming, record.offset == readTo - 1 {
            guard Fingerprint.of(record.value) == anchor.value() else {
                fault = .otherRecord
                return false
            }
            expected = readTo
            return false
        }
        if isConfirming, record.offset == readTo {
            // What was read last has just left the log.
            expected = readTo
            return true
        }
        fault = .missing(found: record.offset)
        expected = Self.none
        return false
    }

    /// What the batch that is being filled has of this partition; the next one begins behind it. Nil when it has nothing.
    mutating func takeAdvance() -> (advance: Advance, resends: [Resends])? {
        guard readTo > batchStart else { return nil }
        let changes = marks.takeChanges()
        let advance = Advance(
            claim: claim, from: batchStart, to: readTo, anchor: anchor.value() ?? 0, marks: changes.risen)
        batchStart = readTo
        return (advance, changes.resends)
    }
}
