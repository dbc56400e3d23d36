import Postgres

/// A point on the way from the topic into the tables at which a test can have the process fail: in a debug build, and in no
/// other.
///
/// The environment arms one, say with `TICKSTREAM_FAILPOINT=after-compare-and-set:topic=trades:offset=500:crash`. It fires
/// once a process, the first time that the point is reached with the topic's partition 0 at this offset or beyond. With
/// `steps=yes` before the last colon, small batches are stored in steps, too.
package enum Failpoint: String, CaseIterable, Sendable {
    /// A record came from the topic.
    case afterPoll = "after-poll"
    /// A batch is complete, and its transaction has not begun.
    case afterEncode = "after-encode"
    /// A COPY has begun, and its rows are not sent.
    case inCopy = "in-copy"
    /// All rows are in the transaction.
    case beforeCompareAndSet = "before-compare-and-set"
    /// The positions have moved in the transaction.
    case afterCompareAndSet = "after-compare-and-set"
    /// COMMIT is sent, and its answer not read: what became of it is in doubt.
    case afterSendingCommit = "after-sending-commit"
    /// COMMIT was answered, and memory does not know yet.
    case afterCommitTag = "after-commit-tag"
    /// The epochs have risen in the claim's transaction.
    case inClaim = "in-claim"
    /// The group takes the partitions back, and nothing is stored or let go of yet.
    case inRevoke = "in-revoke"

    /// Whether small batches are to be stored in steps, like large ones: where a point is armed that is between these, or
    /// when it was armed so.
    static var needsSteps: Bool {
        #if DEBUG
            guard let armed = ArmedFailpoint.current else { return false }
            let between: [Failpoint] = [.inCopy, .beforeCompareAndSet, .afterCompareAndSet]
            return armed.needsSteps || between.contains { $0.rawValue == armed.point }
        #else
            return false
        #endif
    }

    /// On the thread that reads: an offset of a partition. There is no connection here to cut or to spoil.
    @inline(__always)
    package func reach(_ topic: String, _ partition: Int32, _ offset: @autoclosure () -> Int64) {
        #if DEBUG
            if partition == 0 { ArmedFailpoint.reach(rawValue, topic, offset()) { _ in false } }
        #endif
    }

    /// On the thread that writes: what the batch has of each partition.
    @inline(__always)
    package func reach(_ topic: String, _ advances: [Advance], _ connection: inout PostgresConnection) {
        #if DEBUG
            guard let advance = advances.first(where: { $0.claim.partition == 0 }) else { return }
            ArmedFailpoint.reach(rawValue, topic, advance.to - 1, &connection)
        #endif
    }

    /// On the thread that writes: what is claimed.
    @inline(__always)
    package func reach(_ topic: String, _ claims: [Claim], _ connection: inout PostgresConnection) {
        #if DEBUG
            guard let claim = claims.first(where: { $0.partition == 0 }) else { return }
            ArmedFailpoint.reach(rawValue, topic, claim.nextOffset, &connection)
        #endif
    }

    /// Has the points inside of the connection's own calls be reached with this batch.
    @inline(__always)
    package static func watch(_ topic: String, _ advances: [Advance], _ connection: inout PostgresConnection) {
        #if DEBUG
            let advance = advances.first { $0.claim.partition == 0 }
            connection.atMoment = { moment, cut in
                guard let advance else { return }
                let point: Failpoint = moment == .inCopy ? .inCopy : .afterSendingCommit
                ArmedFailpoint.reach(point.rawValue, topic, advance.to - 1) { action in
                    guard action == .cut else { return false }
                    cut()
                    return true
                }
            }
        #endif
    }
}
