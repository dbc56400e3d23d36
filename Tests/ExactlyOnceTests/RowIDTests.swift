import ExactlyOnce
import Testing

@Suite struct RowIDTests {
    @Test func `ids are unique and positive at the limits, and rows of a partition sort by offset`() {
        let logs: [Int32] = [1, 2, 2048, 4095]
        let partitions: [Int32] = [0, 1, 1024, RowID.partitions.upperBound - 1]
        let offsets: [Int64] = [0, 1, 1 << 20, RowID.offsets.upperBound - 1]
        var ids: [Int64] = []
        for log in logs {
            for partition in partitions {
                for offset in offsets { ids.append(RowID.of(log: log, partition: partition, offset: offset)) }
            }
        }
        #expect(Set(ids).count == ids.count)
        #expect(ids == ids.sorted())
        #expect(ids.allSatisfy { $0 > 0 })
        #expect(RowID.of(log: 4095, partition: 2047, offset: RowID.offsets.upperBound - 1) == .max)
    }

    @Test func `an id is twelve bits of the log, eleven of the partition and forty of the offset`() {
        #expect(RowID.of(log: 1, partition: 0, offset: 0) == 1 << 51)
        #expect(RowID.of(log: 0, partition: 1, offset: 0) == 1 << 40)
        #expect(RowID.of(log: 0, partition: 0, offset: 1) == 1)
        #expect(RowID.partitions == 0..<2048)
        #expect(RowID.offsets == 0..<(1 << 40))
    }
}
