import Testing

@testable import ExactlyOnce

@Suite struct StallWatchTests {
    private var watch = StallWatch(patience: .seconds(15))
    private let start = ContinuousClock.now

    @Test mutating func `a partition that moves does not stall`() {
        for second in 0..<100 {
            #expect(look(second, [0: Int64(second)], fetched: 0) == [])
        }
    }

    @Test mutating func `a partition at the end of its log does not stall`() {
        for second in 0..<100 {
            #expect(look(second, [0: 500], fetched: 0, ends: [0: 500]) == [])
        }
    }

    @Test mutating func `a partition that stays behind its log stalls, although others move`() {
        for second in 0...15 {
            #expect(look(second, [0: Int64(second), 1: 7], fetched: second == 15 ? 1 : 0) == [])
        }
        #expect(look(16, [0: 16, 1: 7], fetched: 0) == [1])
    }

    @Test mutating func `what had been fetched is read first`() {
        for second in 0..<15 {
            #expect(look(second, [0: 0, 1: 7], fetched: 1000) == [])
        }
        // Both are suspected; the reader waits for the database, and reads nothing.
        for second in 15..<60 {
            #expect(look(second, [0: 0, 1: 7], fetched: 1000) == [])
        }
        #expect(look(60, [0: 600, 1: 7], fetched: 1000) == [])
        #expect(look(61, [0: 999, 1: 7], fetched: 1000) == [])
        #expect(look(62, [0: 1000, 1: 7], fetched: 1000) == [1])
    }

    @Test mutating func `a log whose end is not known counts as read`() {
        for second in 0..<14 { #expect(look(second, [0: 7], fetched: 0) == []) }
        #expect(look(14, [0: 7], fetched: 0, ends: [0: -1]) == [])
        for second in 15..<29 { #expect(look(second, [0: 7], fetched: 0) == []) }
        #expect(look(29, [0: 7], fetched: 0) == [0])
    }

    @Test mutating func `reading that begins anew has all the time`() {
        for second in 0..<15 { #expect(look(second, [0: 7], fetched: 0) == []) }
        watch.reset()
        for second in 15..<30 { #expect(look(second, [0: 7], fetched: 0) == []) }
        #expect(look(30, [0: 7], fetched: 0) == [0])
    }

    @Test mutating func `one look a second is enough`() {
        _ = look(5, [0: 7], fetched: 0)
        #expect(!watch.isDue(at: start + .milliseconds(5999)))
        #expect(watch.isDue(at: start + .milliseconds(6000)))
    }

    private mutating func look(
        _ second: Int, _ readTo: [Int32: Int64], fetched: Int, ends: [Int32: Int64] = [:]
    ) -> [Int32] {
        watch.look(
            at: readTo.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, fetched: fetched,
            now: start + .seconds(second)
        ) { partition, offset in ends[partition, default: 1_000_000] > offset }
    }
}
