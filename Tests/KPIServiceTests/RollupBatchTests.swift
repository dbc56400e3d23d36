import DatabaseTestSupport
import ExactlyOnce
import KafkaTestSupport
import Postgres
import ServiceKit
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct RollupBatchTests {
    private static func json(source: String = "p", _ sequence: Int, price: String = "1.5") -> String {
        #"{"s":"A","p":\#(price),"t":\#(1_721_555_886_000 + sequence * 300),"v":2,"c":null,"#
            + #""to_kafka":"2024-07-21T09:38:06.254321Z","src":"\#(source)","seq":\#(sequence),"repeat":0}"#
    }

    /// Folds records in batches of a few, merges each, and answers the rollups of all grains.
    private static func rollups(
        of values: [String], size: Int = 7, marks: SourceMarks = SourceMarks(), rejected: Counter = Counter()
    ) async throws -> [[String]] {
        let database = try await TestDatabase()
        let batch = RollupBatch(repeats: .count, rejected: rejected)
        var connection = try database.connect()
        var marks = marks
        var count = 0
        func store() throws {
            try connection.begin()
            try batch.write(to: &connection)
            try connection.commit()
            batch.reset()
        }
        try Records().forEach(values) { record in
            // The ids are none of offsets, which differ where records are sent again.
            batch.append(record, id: 0, marks: &marks)
            count += 1
            if count.isMultiple(of: size) { try store() }
        }
        try store()
        return try Grain.allCases.flatMap {
            try database.rows("SELECT '\($0)', * FROM trade_rollup_\($0.rawValue) ORDER BY symbol, window_start")
        }
    }

    @Test func `trades that were sent again count once`() async throws {
        let once = (0..<40).map { Self.json($0) }
        let expected = try await Self.rollups(of: once)
        #expect(expected.count == 14)
        // Whole, in part, twice, and in the middle of a batch; what it says now does not matter.
        let again = once[0..<20] + once[0..<20] + once[10..<33] + once[5..<6] + once[0..<40]
        #expect(try await Self.rollups(of: Array(again)) == expected)
        #expect(try await Self.rollups(of: once + (0..<40).map { Self.json($0, price: "99") }) == expected)
    }

    @Test func `trades of other sources with the same numbers count as well`() async throws {
        let both = (0..<10).flatMap { [Self.json($0), Self.json(source: "q", $0)] }
        let rows = try await Self.rollups(of: both)
        #expect(rows.filter { $0[0] == "hour" }.map { $0[3] } == ["20"])
    }

    @Test func `what is no trade, and a trade of one source too many, is rejected and counts in no rollup`()
        async throws
    {
        var marks = SourceMarks()
        for index in 0..<SourceMarks.maximumSources {
            _ = try marks.admit(ShortText("source \(index)")!, 1, at: Int64(index))
        }
        let rejected = Counter()
        #expect(
            try await Self.rollups(of: ["nonsense", Self.json(1), Self.json(2)], marks: marks, rejected: rejected) == []
        )
        #expect(rejected.value == 3)
    }
}
