/// A row's origin as one number: it is unique for ever, and a record has the same one whenever it is read.
///
/// 12 bits of the log, 11 of the partition, 40 of the offset, in this order: rows of a partition sort by offset.
package enum RowID {
    /// Partitions that fit; as the table `offset_ledger` checks.
    package static let partitions: Range<Int32> = 0..<2048
    /// Offsets that fit: over a million million in each partition.
    package static let offsets: Range<Int64> = 0..<(1 << 40)

    /// The row id of a record. The ledger has checked log and partition, the reader the offset.
    @inline(__always)
    package static func of(log: Int32, partition: Int32, offset: Int64) -> Int64 {
        Int64(log) << 51 | Int64(partition) << 40 | offset
    }
}
