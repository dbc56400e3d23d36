import DatabaseTestSupport
import Postgres
import ServiceKit
import TestSupport
import Testing

@testable import ExactlyOnce

/// What becomes of a row that only the database finds wrong.
@Suite(.timeLimit(.minutes(10))) struct QuarantineTests {
    @Test(arguments: [[0], [50], [99], [0, 1, 2, 50, 98, 99], Array(0..<100)])
    func `records that the database refuses are found in their batch and put aside, all others stored`(
        poison: [Int]
    ) async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let list = poison.map(String.init).joined(separator: ",")
            try database.execute("ALTER TABLE stored ADD CHECK (record_offset NOT IN (\(list)))")
            try topic.fill(count: 100)
            let reader = RunningReader(topic, database.readers)
            try database.awaitPosition(100)
            try reader.stop()
            #expect(
                try database.rows("SELECT record_offset FROM refused ORDER BY 1") == poison.map { ["\($0)"] })
            #expect(
                try database.value("SELECT count(*) || ' ' || count(DISTINCT record_offset) FROM stored")
                    == "\(100 - poison.count) \(100 - poison.count)")
            #expect(reader.count("the database refuses a record") == poison.count)
        }
    }

    @Test func `batches become large again behind a refused record, in all partitions`() async throws {
        let topic = try await TestTopic(partitions: 3)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try database.execute("ALTER TABLE stored ADD CHECK (partition <> 1 OR record_offset <> 300)")
            try topic.fill(count: 2000)
            let reader = RunningReader(topic, database.readers)
            try database.awaitPosition(6000)
            try reader.stop()
            #expect(try database.rows("SELECT * FROM refused") == [["1", "300"]])
            #expect(try database.value("SELECT count(DISTINCT (partition, record_offset)) FROM stored") == "5999")
            #expect(try database.value("SELECT count(*) FROM stored") == "5999")
            #expect(reader.metrics.batches.value < 100)
        }
    }
}
