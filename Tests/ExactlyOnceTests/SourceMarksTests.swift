import TestSupport
import Testing
import TradeModel

@testable import ExactlyOnce

@Suite struct SourceMarksTests {
    private static let a = ShortText("a")!
    private static let b = ShortText("b")!

    @Test func `a number is admitted once, and none below it afterwards`() throws {
        var marks = SourceMarks()
        let admitted = try [5, 5, 4, 6, 6, 5, 9, 0, 7, 10].enumerated().filter {
            try marks.admit(Self.a, Int64($1), at: Int64($0))
        }.map(\.element)
        #expect(admitted == [5, 6, 9, 10])
    }

    @Test func `the first number of all may be nought`() throws {
        var marks = SourceMarks()
        #expect(try marks.admit(Self.a, 0, at: 0))
        #expect(try !marks.admit(Self.a, 0, at: 1))
    }

    @Test func `a mark that is stored is not admitted again, the number behind it is`() throws {
        var marks = SourceMarks([SourceMark(source: Self.a, sequence: 7), SourceMark(source: Self.b, sequence: 100)])
        #expect(try !marks.admit(Self.a, 7, at: 0))
        #expect(try marks.admit(Self.a, 8, at: 1))
        #expect(try !marks.admit(Self.b, 100, at: 2))
        #expect(try marks.admit(Self.b, 101, at: 3))
    }

    @Test func `what has changed is told once, and only that`() throws {
        var marks = SourceMarks([SourceMark(source: Self.a, sequence: 7), SourceMark(source: Self.b, sequence: 7)])
        #expect(marks.takeChanges().risen == [])
        for (offset, (source, sequence)) in [(Self.a, 6), (Self.b, 8), (Self.a, 7), (Self.b, 9), (Self.b, 9)]
            .enumerated()
        {
            _ = try marks.admit(source, Int64(sequence), at: 50 + Int64(offset))
        }
        let changes = marks.takeChanges()
        #expect(changes.risen == [SourceMark(source: Self.b, sequence: 9)])
        #expect(
            changes.resends == [
                Resends(source: Self.a, count: 2, offsets: 50...52),
                Resends(source: Self.b, count: 1, offsets: 54...54),
            ])
        let nothing = marks.takeChanges()
        #expect(nothing.risen == [] && nothing.resends == [])
        // What is taken is not forgotten.
        #expect(try !marks.admit(Self.b, 9, at: 60))
        #expect(marks.takeChanges().resends == [Resends(source: Self.b, count: 1, offsets: 60...60)])
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `of many sources in any order, each has a mark of its own`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let names = (0..<40).map { ShortText("source \($0)")! }
        var marks = SourceMarks()
        var expected: [ShortText: Int64] = [:]
        var told: [ShortText: Int64] = [:]
        for offset in 0..<5_000 as Range<Int64> {
            // Runs of one source, as topics have them.
            let name = names[Int(offset) / (1 + random.below(9)) % names.count]
            let sequence = Int64(random.below(2_000))
            let isNew = expected[name].map { sequence > $0 } ?? true
            #expect(try marks.admit(name, sequence, at: offset) == isNew)
            if isNew { expected[name] = sequence }
            guard random.oneIn(100) else { continue }
            for mark in marks.takeChanges().risen {
                #expect(mark.sequence > told[mark.source] ?? -1)
                told[mark.source] = mark.sequence
            }
            #expect(told == expected)
        }
    }

    @Test func `a source beyond the bound is refused, and the others go on`() throws {
        var marks = SourceMarks()
        for index in 0..<SourceMarks.maximumSources {
            #expect(try marks.admit(ShortText("source \(index)")!, 1, at: Int64(index)))
        }
        for _ in 0..<2 {
            #expect(throws: RejectionReason.tooManySources) { try marks.admit(Self.a, 1, at: 0) }
        }
        #expect(try marks.admit(ShortText("source 0")!, 2, at: 0))
        #expect(try !marks.admit(ShortText("source 9999")!, 1, at: 0))
        #expect(marks.takeChanges().risen.count == SourceMarks.maximumSources)
        // Those of the table are all kept.
        let stored = (0...SourceMarks.maximumSources).map {
            SourceMark(source: ShortText("source \($0)")!, sequence: 5)
        }
        var full = SourceMarks(stored)
        #expect(try !full.admit(stored.last!.source, 5, at: 0))
        #expect(throws: RejectionReason.tooManySources) { try full.admit(Self.a, 1, at: 0) }
    }
}
