import TradeModel

/// The right to store what stands in one partition, from one offset on: until somebody else claims the partition.
package struct Claim: Hashable, Sendable {
    /// The partition's number.
    package let partition: Int32
    /// The topic in the cluster, as the table `topic_log` numbers it.
    package let log: Int32
    /// Rises with every claim: of two who believe they own the partition, only the latter can store.
    package let epoch: Int64
    /// The offset of the next record to store.
    package let nextOffset: Int64
    /// The fingerprint of the record before that, when it was this reader that stored it.
    package internal(set) var anchor: UInt64? = nil
    /// How far each source has come in what is stored.
    package internal(set) var marks: [SourceMark] = []
}

/// How far a source has come in one partition: what it sends with no greater number has been stored.
package struct SourceMark: Hashable, Sendable {
    package let source: ShortText
    package let sequence: Int64
}

/// What one transaction stores of one partition: the records `from ..< to`.
package struct Advance: Hashable, Sendable {
    package let claim: Claim
    package let from: Int64
    package let to: Int64
    /// The fingerprint of the last of these records.
    package var anchor: UInt64 = 0
    /// The marks that have risen in these records, each source once.
    package var marks: [SourceMark] = []
}

/// What claiming some partitions has brought.
package struct ClaimAnswer: Sendable {
    /// Those that can be read on.
    package internal(set) var claims: [Claim] = []
    /// Those that cannot, until somebody resets them.
    package internal(set) var halted: [HaltedPartition] = []
    /// The log in which each of them was claimed.
    var logs: [Int32: Int32] = [:]
    /// The sessions of those who had claimed them before.
    var formerOwners: [DatabaseSession] = []
}

/// A partition that is not read on, and why.
package struct HaltedPartition: Hashable, Sendable {
    package let partition: Int32
    package let reason: String
}

/// A session of the database, told from all others of the same server process number.
struct DatabaseSession: Hashable, Sendable {
    let pid: Int64
    /// As PostgreSQL writes it.
    let started: String
    /// When its transaction began; nil where that was not asked.
    var transaction: String?
}
