import DatabaseTestSupport
import Foundation
import Kafka
import LocalServers
import Postgres
import ServiceKit
import TestSupport
import Testing

@testable import ExactlyOnce

/// What a reader does when a topic is not what it was: it halts the partition, says why, and goes on with the others.
@Suite(.timeLimit(.minutes(10))) struct LogFaultTests {
    @Test func `a position beyond the log's end halts the partition and no other`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try topic.fill(count: 10)
            try Self.setPosition(of: topic, partition: 1, to: 50, database)
            let reader = RunningReader(topic, database.readers)
            try Self.awaitFault("ends at offset 10, but the records before 50", partition: 1, database)
            try database.awaitStored(10)
            #expect(try database.rows("SELECT DISTINCT partition FROM stored") == [["0"]])
            try eventually("the reader knows") { reader.metrics.haltedPartitions.value == 1 }
            #expect(reader.metrics.health.problems.contains { $0.contains("1 halted") })
            #expect(try database.value("SELECT count(*) FROM feed_event") == "0")
            try reader.stop()
            #expect(reader.log.contains { $0.contains("consumer ledger reset --topic \(topic.name) --partition 1") })
        }
    }

    @Test func `a halted partition stays halted over restarts, and is read on by itself once it is reset`() async throws
    {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try topic.fill(count: 10)
            try Self.setPosition(of: topic, partition: 1, to: 50, database)
            for _ in 0..<2 {
                let reader = RunningReader(topic, database.readers)
                try eventually("the partition is halted") { reader.metrics.haltedPartitions.value == 1 }
                try reader.stop()
            }
            let reader = RunningReader(topic, database.readers)
            try eventually("the partition is halted") { reader.metrics.haltedPartitions.value == 1 }
            try database.execute(
                "UPDATE offset_ledger SET epoch = epoch + 1, next_offset = 3, fault = NULL WHERE partition = 1")
            try database.awaitStored(17)
            try eventually("nothing is halted") { reader.metrics.haltedPartitions.value == 0 }
            #expect(try database.value("SELECT min(record_offset) FROM stored WHERE partition = 1") == "3")
            try reader.stop()
        }
    }

    @Test func `another record where the last one was stored halts the partition`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers)
            try topic.send("a", 0..<10)
            try database.awaitPosition(20)
            try first.stop()
            #expect(try database.value("SELECT count(DISTINCT anchor) FROM offset_ledger") == "1")
            try database.execute("UPDATE offset_ledger SET anchor = anchor + 1 WHERE partition = 1")
            let second = RunningReader(topic, database.readers)
            try Self.awaitFault("another record at offset 9", partition: 1, database)
            try topic.send("a", 10..<20)
            try database.awaitStored(30)
            #expect(try database.value("SELECT max(record_offset) FROM stored WHERE partition = 1") == "9")
            #expect(try database.verdict(20, partitions: 1) == "0 lost, 0 doubled")
            try second.stop()
        }
    }

    @Test func `what is gone before a reader comes is told once as an event, with its offsets`() async throws {
        let topic = try await TestTopic()
        let database = try await TestDatabase()
        try await onThread { try database.execute(OffsetBatch.table) }
        if topic.broker != nil {
            try await onThread { try topic.fill(count: 10) }
            try await Self.deleteRecords(of: topic, before: 5)
        } else {
            // The embedded cluster keeps 5 MiB a partition.
            try await onThread { for _ in 0..<8 { try topic.fill(count: 1, size: 900_000) } }
        }
        try await onThread {
            let client = try KafkaClient(settings: .client(bootstrapServers: topic.servers))
            let place = TopicPartition(topic: topic.name, partition: 0)
            let first = try client.watermarks(place, timeout: hangLimit).low
            #expect(first > 1)
            try Self.setPosition(of: topic, partition: 0, to: 1, database)
            for _ in 0..<2 {
                let reader = RunningReader(topic, database.readers)
                try Self.awaitFault("begins at offset \(first), where 1 must come", partition: 0, database)
                try eventually("the reader knows") { reader.metrics.haltedPartitions.value == 1 }
                try reader.stop()
                try database.execute("UPDATE offset_ledger SET fault = NULL")
            }
            #expect(
                try database.rows(
                    """
                    SELECT kind, source, kafka_partition, details ->> 'topic', details ->> 'first_offset',
                        details ->> 'next_offset' FROM feed_event
                    """) == [["records_lost", "reader", "0", topic.name, "1", "\(first)"]])
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["KAFKA_HOME"] != nil, "needs a real Kafka: KAFKA_HOME"))
    func `offsets that are missing from the topic halt it where they are missing, with all before them stored`()
        async throws
    {
        let topic = try await TestTopic()
        let database = try await TestDatabase()
        let broker = try #require(topic.broker)
        // A transaction's end takes an offset that no reader sees.
        try await onThread { try topic.fill(count: 10) }
        try await ChildProcess.run(
            broker.home.program("kafka-producer-perf-test.sh"),
            [
                "--topic", topic.name, "--num-records", "5", "--record-size", "10", "--throughput", "-1",
                "--transactional-id", topic.name, "--transaction-duration-ms", "60000",
                "--producer-props", "bootstrap.servers=\(broker.bootstrapServers)",
            ])
        try await onThread {
            try topic.fill(count: 10)
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try Self.awaitFault("goes on at offset 16, where 15 must come", partition: 0, database)
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "15")
            #expect(try database.verdict(15, partitions: 1) == "0 lost, 0 doubled")
            #expect(try database.value("SELECT kind FROM feed_event") == "records_lost")
            try reader.stop()
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["KAFKA_HOME"] != nil, "needs a real Kafka: KAFKA_HOME"))
    func `records that are deleted under a reader that is held up halt the partition, and are not skipped`()
        async throws
    {
        let topic = try await TestTopic()
        let database = try await TestDatabase()
        let (reader, lock) = try await onThread {
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 10))
            try topic.send("a", 0..<10)
            try database.awaitPosition(10)
            let lock = try HeldLock(database)
            try topic.send("a", 10..<100)
            try database.awaitLockWaiters(1)
            return (reader, lock)
        }
        try await Self.deleteRecords(of: topic, before: 90)
        try await onThread {
            // Reading is suspended by now, so what comes after the lock must be fetched anew.
            try eventually("the database is behind for a while") { lock.age > .seconds(2) }
            try lock.release()
            try Self.awaitFault("begins at offset 90", partition: 0, database)
            let position = try #require(Int(try database.value("SELECT next_offset FROM offset_ledger")))
            #expect(position < 90)
            #expect(try database.verdict(position, partitions: 1) == "0 lost, 0 doubled")
            try reader.stop()
        }
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["KAFKA_HOME"] != nil, "needs a real Kafka: KAFKA_HOME"),
        arguments: [5, 60])
    func `a topic that is made anew under a reader halts its partitions, with fewer records or with more`(
        records: Int
    ) async throws {
        let topic = try await TestTopic(partitions: 2)
        let database = try await TestDatabase()
        try await onThread {
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try topic.send("a", 0..<20)
            try database.awaitPosition(40)
            let client = try KafkaClient(settings: .client(bootstrapServers: topic.servers))
            let admin = KafkaAdmin(client)
            try admin.deleteTopic(topic.name)
            try eventually("the topic is made anew") {
                try admin.createTopic(topic.name, partitions: 2, replication: 1) == .created
            }
            try eventually("the broker has the new one") {
                (0..<Int32(2)).allSatisfy {
                    let place = TopicPartition(topic: topic.name, partition: $0)
                    return (try? client.watermarks(place, timeout: .seconds(5)).high) == 0
                }
            }
            try eventually("the reader looks again") {
                reader.count("claiming anew") > 0 || reader.count("revoked") > 0
            }
            try topic.send("b", 0..<records)
            try eventually("both partitions are halted") {
                try database.value("SELECT count(*) FROM offset_ledger WHERE fault LIKE '%made anew%'") == "2"
            }
            #expect(try database.value("SELECT count(*) FROM stored WHERE source = 'b'") == "0")
            #expect(try database.value("SELECT sum(next_offset) FROM offset_ledger") == "40")
            try reader.stop()
        }
    }

    private static func deleteRecords(of topic: TestTopic, before offset: Int) async throws {
        let broker = try #require(topic.broker)
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/delete.json"
        try #"{"version":1,"partitions":[{"topic":"\#(topic.name)","partition":0,"offset":\#(offset)}]}"#
            .write(toFile: file, atomically: true, encoding: .utf8)
        try await ChildProcess.run(
            broker.home.program("kafka-delete-records.sh"),
            ["--bootstrap-server", broker.bootstrapServers, "--offset-json-file", file])
    }

    private static func setPosition(
        of topic: TestTopic, partition: Int32, to offset: Int64, _ database: TestDatabase
    ) throws {
        let cluster = try KafkaClient(settings: .client(bootstrapServers: topic.servers))
            .clusterID(timeout: hangLimit)
        let ledger = OffsetLedger(reader: "reader", topic: topic.name, cluster: cluster, acceptsNewCluster: false)
        var connection = try database.connect()
        _ = try ledger.claim([partition], &connection) { _ in offset }
    }

    private static func awaitFault(_ words: String, partition: Int, _ database: TestDatabase) throws {
        try eventually("partition \(partition) is halted") {
            try database.value(
                "SELECT count(*) FROM offset_ledger WHERE fault IS NOT NULL AND partition = \(partition)")
                == "1"
        }
        let fault = try database.value("SELECT fault FROM offset_ledger WHERE partition = \(partition)")
        #expect(fault.contains(words) && fault.contains("consumer ledger reset"), "\(fault)")
    }
}
