import Postgres

#if DEBUG
    import Glibc
    import Synchronization
#endif

/// A point on the way from the topic into the tables at which a test can have the process fail: in a debug build, and in no
/// other.
///
/// The environment arms one, say with `TICKSTREAM_FAILPOINT=after-compare-and-set:topic=trades:offset=500:crash`. It fires
/// once a process, the first time that the point is reached with the topic's partition 0 at this offset or beyond.
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

    /// What an armed point does.
    enum Action: String {
        /// The process kills itself.
        case crash
        /// The process stops until somebody lets it go on.
        case stop
        /// The connection is lost, and the process does not know yet.
        case cut
        /// A statement of the transaction fails, and nobody looks.
        case spoil
    }

    /// On the thread that reads: an offset of a partition. There is no connection here to cut or to spoil.
    @inline(__always)
    package func reach(_ topic: String, _ partition: Int32, _ offset: @autoclosure () -> Int64) {
        #if DEBUG
            if partition == 0 { fire(at: topic, offset()) { _ in false } }
        #endif
    }

    /// On the thread that writes: what the batch has of each partition.
    @inline(__always)
    package func reach(_ topic: String, _ advances: [Advance], _ connection: inout PostgresConnection) {
        #if DEBUG
            guard let advance = advances.first(where: { $0.claim.partition == 0 }) else { return }
            fire(at: topic, advance.to - 1) { Self.fail($0, &connection) }
        #endif
    }

    /// On the thread that writes: what is claimed.
    @inline(__always)
    package func reach(_ topic: String, _ claims: [Claim], _ connection: inout PostgresConnection) {
        #if DEBUG
            guard let claim = claims.first(where: { $0.partition == 0 }) else { return }
            fire(at: topic, claim.nextOffset) { Self.fail($0, &connection) }
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
                point.fire(at: topic, advance.to - 1) { action in
                    guard action == .cut else { return false }
                    cut()
                    return true
                }
            }
        #endif
    }
}

#if DEBUG
    extension Failpoint {
        private struct Armed {
            let point: Failpoint
            let topic: String
            let offset: Int64
            let action: Action

            init?(_ text: String) {
                let parts = text.split(separator: ":").map(String.init)
                guard parts.count == 4, parts[1].hasPrefix("topic="), parts[2].hasPrefix("offset="),
                    let point = Failpoint(rawValue: parts[0]), let offset = Int64(parts[2].dropFirst(7)),
                    let action = Action(rawValue: parts[3])
                else { return nil }
                (self.point, topic, self.offset, self.action) = (point, String(parts[1].dropFirst(6)), offset, action)
            }
        }

        private static let armed: Armed? = {
            guard let text = getenv("TICKSTREAM_FAILPOINT").map({ String(cString: $0) }) else { return nil }
            guard let armed = Armed(text) else { giveUp("TICKSTREAM_FAILPOINT cannot be read: \(text)") }
            return armed
        }()
        private static let hasFired = Atomic(false)

        /// - Parameter failing: does what needs a connection; false when there is none for it.
        private func fire(at topic: String, _ offset: Int64, _ failing: (Action) -> Bool) {
            guard let armed = Self.armed, armed.point == self, armed.topic == topic, offset >= armed.offset,
                !Self.hasFired.exchange(true, ordering: .relaxed)
            else { return }
            Self.say("failpoint \(rawValue) at offset \(offset): \(armed.action.rawValue)")
            switch armed.action {
            // To this thread, which then does not go on for a moment; both take the whole process.
            case .crash: raise(SIGKILL)
            case .stop: raise(SIGSTOP)
            case .cut, .spoil:
                guard failing(armed.action) else { Self.giveUp("\(rawValue) has no use for \(armed.action.rawValue)") }
            }
        }

        private static func fail(_ action: Action, _ connection: inout PostgresConnection) -> Bool {
            switch action {
            case .cut: connection.cut()
            case .spoil: _ = try? connection.execute("SELECT 1 / 0")
            case .crash, .stop: return false
            }
            return true
        }

        private static func say(_ words: String) {
            let line = Array("\(words)\n".utf8)
            write(STDERR_FILENO, line, line.count)
        }

        private static func giveUp(_ reason: String) -> Never {
            say(reason)
            exit(64)
        }
    }
#endif
