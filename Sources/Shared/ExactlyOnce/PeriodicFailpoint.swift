import Postgres

/// A point in work that is done again and again, or once by a command, at which a test can have the process fail, as at a
/// `Failpoint`: in a debug build, and in no other.
///
/// Armed with `TICKSTREAM_FAILPOINT=before-fold-commit:number=1:crash`, say, it fires once a process: the first time that the
/// point is reached with this number or beyond.
package enum PeriodicFailpoint: String, CaseIterable, Sendable {
    /// Latencies are merged in the transaction. The number is that of the batches in it.
    case beforeFoldCommit = "before-fold-commit"
    /// COMMIT of merged latencies was answered. The number is that of the batches.
    case afterFoldCommitTag = "after-fold-commit-tag"
    /// Alerts have opened or closed in the transaction. The number is how many have.
    case beforeEvaluationCommit = "before-evaluation-commit"
    /// COMMIT of an evaluation was answered. The number is how many alerts have opened or closed.
    case afterEvaluationCommitTag = "after-evaluation-commit-tag"
    /// Kafka has acknowledged changes of alerts, and they are not marked. The number is how many.
    case afterPublishing = "after-publishing"
    /// COMMIT of the marks was answered. The number is how many changes are marked.
    case afterMarking = "after-marking"
    /// Of an hour's rollups, those of seconds are made anew in the transaction, the others are not. The number is that of the
    /// hours since 1970.
    case inRebuild = "in-rebuild"

    /// Tells that the work has come here.
    @inline(__always)
    package func reach(_ number: Int, _ connection: inout PostgresConnection) {
        #if DEBUG
            ArmedFailpoint.reach(rawValue, nil, Int64(number), &connection)
        #endif
    }
}
