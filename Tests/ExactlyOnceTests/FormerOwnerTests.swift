import DatabaseTestSupport
import Foundation
import Kafka
import Postgres
import TestSupport
import Testing

@testable import ExactlyOnce

/// What a new owner of a partition does about the former one.
@Suite(.timeLimit(.minutes(10))) struct FormerOwnerTests {
    /// The session of a former owner that froze in the middle of its transaction.
    /// - Parameter hasMoved: whether it froze behind the compare-and-set, with the position locked.
    private static func frozenOwner(
        _ topic: TestTopic, _ database: TestDatabase, hasMoved: Bool
    ) throws -> PostgresConnection {
        var connection = try PostgresConnection(database.readers)
        let cluster = try KafkaClient(settings: .client(bootstrapServers: topic.servers)).clusterID(timeout: hangLimit)
        let ledger = OffsetLedger(reader: "reader", topic: topic.name, cluster: cluster, acceptsNewCluster: false)
        let claim = try ledger.claims([0], &connection) { _ in 0 }[0]
        try connection.begin()
        try connection.execute("INSERT INTO stored VALUES (0, 0, \(RowID.of(log: claim.log, partition: 0, offset: 0)))")
        if hasMoved { try ledger.advanceNow([Advance(claim: claim, from: 0, to: 5)], &connection) }
        return connection
    }

    @Test(arguments: [false, true])
    func `the session of an owner that froze is ended where it holds keys or the position`(hasMoved: Bool) async throws
    {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try database.execute("CREATE UNIQUE INDEX ON stored (id)")
            try topic.fill(count: 10)
            var frozen = try Self.frozenOwner(topic, database, hasMoved: hasMoved)
            // It would never let go by itself.
            let reader = RunningReader(topic, database.readers)
            try database.awaitStored(10)
            #expect(throws: PostgresError.self) { try frozen.commit() }
            #expect(reader.count("ended sessions of a former owner") == 1)
            try reader.stop()
            #expect(try database.verdict(10, partitions: 1) == "0 lost, 0 doubled")
        }
    }

    @Test func `a former owner's session that does nothing is left alone`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try topic.fill(count: 10)
            var frozen = try Self.frozenOwner(topic, database, hasMoved: false)
            try frozen.rollback()
            let reader = RunningReader(topic, database.readers)
            try database.awaitStored(10)
            #expect(try frozen.query("SELECT 1").int64(0, 0) == 1)
            try reader.stop()
        }
    }

    @Test func `a rebalance is answered at once while the database hangs, and reading is suspended`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, sharesGroup: true, observer: .init(capacity: 10))
            try reader.waitUntilAssigned(2)
            let lock = try HeldLock(database)
            try topic.fill(count: 100)
            try database.awaitLockWaiters(1)
            let other = RunningReader(topic, database.readers, sharesGroup: true)
            try eventually("both are given one") {
                reader.count("partitions assigned") >= 2 && other.count("partitions assigned") >= 1
            }
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            try lock.release()
            try database.awaitPosition(200)
            try reader.stop()
            try other.stop()
            #expect(try database.verdict(100, partitions: 2) == "0 lost, 0 doubled")
        }
    }
}
