import ExactlyOnce
import Postgres

/// Merges what `ingest_batch` tells into the latency rollups, each batch exactly once: the schema's `fold_ingest_batches`
/// moves its own positions in the transaction that merges.
enum LatencyFold {
    /// Batches that one transaction merges at most; one takes about half a millisecond.
    static let batchesAtOnce = 500

    /// Merges the next batches, in a transaction of its own; none where another instance is at it.
    /// - Returns: how many there were.
    static func run(
        _ connection: inout PostgresConnection, atMost limit: Int = batchesAtOnce
    ) throws(PostgresError) -> Int {
        try connection.begin(limits: .upkeep)
        let answer = try connection.query("SELECT fold_ingest_batches($1)", parameters: [.integer(Int64(limit))])
        let folded = Int(answer.int64(0, 0) ?? 0)
        PeriodicFailpoint.beforeFoldCommit.reach(folded, &connection)
        try connection.commit()
        PeriodicFailpoint.afterFoldCommitTag.reach(folded, &connection)
        return folded
    }
}

extension TransactionLimits {
    /// Of upkeep, whose transactions are small: short enough not to be missed at a stop.
    static let upkeep = TransactionLimits(statement: .seconds(5), lock: .seconds(2), idle: .seconds(30))
}
