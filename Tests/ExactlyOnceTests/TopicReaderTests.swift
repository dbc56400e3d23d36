import DatabaseTestSupport
import Kafka
import Postgres
import ServiceKit
import TestSupport
import Testing

@testable import ExactlyOnce

/// What a reader does while nothing fails.
@Suite(.timeLimit(.minutes(10))) struct TopicReaderTests {
    @Test func `everything produced is stored once, in order, under the id of its origin`() async throws {
        let topic = try await TestTopic(partitions: 3)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try topic.fill(count: 2000)
            let reader = RunningReader(topic, database.readers)
            try database.awaitStored(6000)
            try topic.fill(count: 500)
            try database.awaitStored(7500)
            try reader.stop()
            #expect(try database.verdict(2500, partitions: 3) == "0 lost, 0 doubled")
            #expect(
                try database.value(
                    """
                    SELECT bool_and(record_offset = previous + 1) FROM (
                        SELECT record_offset, lag(record_offset, 1, -1::bigint)
                            OVER (PARTITION BY partition ORDER BY ctid) AS previous FROM stored) AS pairs
                    """) == "t")
            #expect(
                try database.value(
                    "SELECT bool_and(id = (1::bigint << 51) | (partition::bigint << 40) | record_offset) FROM stored")
                    == "t")
            #expect(
                try database.rows("SELECT partition, next_offset FROM offset_ledger ORDER BY 1")
                    == [["0", "2500"], ["1", "2500"], ["2", "2500"]])
            #expect(reader.metrics.recordsRead.value == 7500)
            #expect(reader.metrics.recordsStored.value == 7500)
            #expect(reader.metrics.recoveries.value == 0)
            #expect(reader.count("partitions assigned") == 1)
        }
    }

    @Test func `what comes in while one transaction commits goes into the next`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try reader.waitUntilAssigned()
            var lock = try database.connect()
            try lock.begin()
            try lock.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
            try topic.fill(count: 1)
            try database.awaitLockWaiters(1)
            try topic.fill(count: 500)
            try eventually("the rest is gathered") { reader.observer.gathered == 501 }
            try lock.commit()
            try database.awaitStored(501)
            #expect(
                try database.rows("SELECT count(*) FROM stored GROUP BY xmin::text ORDER BY 1") == [["1"], ["500"]])
            try reader.stop()
        }
    }

    @Test func `while the database is behind, no more is gathered than two batches hold`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 100))
            try reader.waitUntilAssigned()
            var lock = try database.connect()
            try lock.begin()
            try lock.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
            try topic.fill(count: 5000)
            try database.awaitLockWaiters(1)
            let end = ContinuousClock.now + .seconds(1)
            try eventually("a second has passed") {
                #expect(reader.observer.gathered <= 202)
                return ContinuousClock.now > end
            }
            try eventually("a whole batch waits behind the one that hangs") { reader.observer.gathered > 100 }
            #expect(reader.observer.gathered <= 202)
            try lock.commit()
            try database.awaitStored(5000)
            #expect(try database.verdict(5000, partitions: 1) == "0 lost, 0 doubled")
            #expect(
                try #require(
                    Int(
                        try database.value(
                            "SELECT max(n) FROM (SELECT count(*) AS n FROM stored GROUP BY xmin::text) b")))
                    <= 102)
            try reader.stop()
        }
    }

    @Test func `a commit interval gathers for so long, and a stop stores what has been gathered`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers) { $0.commitInterval = .seconds(600) }
            try reader.waitUntilAssigned()
            try topic.fill(count: 100)
            try eventually("all is gathered") { reader.observer.gathered == 100 }
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            try reader.stop()
            #expect(try database.verdict(100, partitions: 1) == "0 lost, 0 doubled")
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "100")
        }
    }

    @Test func `readers of a group share the partitions, and those of one that leaves go to the other`() async throws {
        let topic = try await TestTopic(partitions: 4)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true)
            try first.waitUntilAssigned(4)
            let feed = Feed(topic)
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try second.waitUntilAssigned(2)
            try first.waitUntilAssigned(2)
            let before = second.metrics.recordsStored.value
            try eventually("both store") { second.metrics.recordsStored.value > before }
            try first.stop()
            try second.waitUntilAssigned(4)
            let count = try feed.stop()
            try database.awaitStored(count * 4)
            try second.stop()
            #expect(try database.verdict(count, partitions: 4) == "0 lost, 0 doubled")
            #expect(first.metrics.recoveries.value == 0, "\(first.log)")
            #expect(second.metrics.recoveries.value == 0, "\(second.log)")
        }
    }

    @Test func `a cluster that the reader has never seen ends it before anything is read`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            var connection = try database.connect()
            let other = OffsetLedger(reader: "reader", topic: topic.name, cluster: "other", acceptsNewCluster: false)
            _ = try other.claims([0], &connection) { _ in 0 }
            try topic.fill(count: 10)
            let reader = RunningReader(topic, database.readers)
            let cluster = try KafkaClient(settings: .client(bootstrapServers: topic.servers))
                .clusterID(timeout: hangLimit)
            #expect(throws: LedgerError.unknownCluster(reader: "reader", topic: topic.name, cluster: cluster)) {
                try reader.end()
            }
            #expect(reader.observer.gathered == 0)
        }
    }
}
