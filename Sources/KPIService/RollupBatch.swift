import ExactlyOnce
import Kafka
import Postgres
import ServiceKit
import TradeModel

/// Trades on their way into the rollup tables.
///
/// Records that are no trades count in no rollup; the consumer stores them in `rejected_trade`.
final class RollupBatch: TransactionalBatch {
    /// Symbols times seconds that one transaction merges at most.
    static let maximumRollups = 4_000
    /// Trades, so that a busy second does not hold back the position for long.
    static let maximumTrades = 500_000

    private var fold = RollupFold()
    private var trades = 0
    private let rejected: Counter
    private let merge: RollupMerge
    private let repeats: RepeatRule

    init(repeats: RepeatRule, rejected: Counter) {
        self.repeats = repeats
        self.rejected = rejected
        merge = RollupMerge(repeats: repeats)
    }

    var isFull: Bool { fold.count >= Self.maximumRollups || trades >= Self.maximumTrades }

    func append(_ record: borrowing KafkaRecord, id: Int64, marks: inout SourceMarks) {
        do throws(RejectionReason) {
            let parsed = try TradeRecord(json: record.value.bindMemory(to: UInt8.self).span)
            guard try marks.admit(parsed.source, parsed.sequence, at: record.offset) else { return }
            if parsed.repeats > 0, repeats == .ignore {
                fold.omit(parsed.trade)
            } else {
                fold.add(parsed.trade, id: id)
            }
            trades += 1
        } catch {
            rejected.increment()
        }
    }

    func reject(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason) {
        rejected.increment()
    }

    func write(to connection: inout PostgresConnection) throws(PostgresError) {
        guard fold.count > 0 else { return }
        for grain in Grain.allCases {
            try merge.merge(fold.rollups(of: grain), into: grain, &connection)
            try merge.note(omissions: fold.omissions(of: grain), in: grain, &connection)
        }
    }

    func reset() {
        fold.reset()
        trades = 0
    }
}
