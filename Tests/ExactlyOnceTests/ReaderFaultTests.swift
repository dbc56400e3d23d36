import DatabaseTestSupport
import Foundation
import Kafka
import LocalServers
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import ExactlyOnce

/// What a reader does when the database, another reader or the topic fails it.
@Suite(.timeLimit(.minutes(10))) struct ReaderFaultTests {
    // MARK: The database

    @Test func `a reader whose session is ended again and again loses and doubles nothing`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 50))
            try reader.waitUntilAssigned(2)
            let feed = Feed(topic)
            var ended = 0
            var stored = 0
            try eventually("twenty sessions were ended") {
                // Only once it has stored something more: so each hits work under way.
                let now = Int(try database.value("SELECT count(*) FROM stored"))!
                guard now > stored else { return false }
                stored = now
                ended += Int(
                    try database.value(
                        """
                        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'reader'
                        """))!
                return ended >= 20
            }
            let count = try feed.stop()
            try database.awaitStored(2 * count)
            try reader.stop()
            #expect(try database.verdict(count, partitions: 2) == "0 lost, 0 doubled")
            #expect(reader.metrics.recoveries.value >= 10)
            // The group takes no notice.
            #expect(reader.count("partitions assigned") == 1)
        }
    }

    @Test(arguments: [false, true])
    func `a reader goes on by itself after the database was away`(crash: Bool) async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        let topic = try await TestTopic(partitions: 2)
        let database = try await TestDatabase(in: server)
        let (reader, feed) = try await onThread {
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try reader.waitUntilAssigned(2)
            let feed = Feed(topic)
            try database.awaitStored(100)
            return (reader, feed)
        }
        if crash { await server.kill() } else { await server.stop() }
        try await onThread {
            try eventually("the reader tries to claim") { reader.count("cannot claim partitions yet") >= 2 }
        }
        try await server.start()
        try await onThread {
            let stored = reader.metrics.recordsStored.value
            try eventually("the reader goes on") { reader.metrics.recordsStored.value > stored }
            let count = try feed.stop()
            try database.awaitStored(2 * count)
            try reader.stop()
            #expect(try database.verdict(count, partitions: 2) == "0 lost, 0 doubled")
        }
        await server.stop()
    }

    @Test func `a stop is quick while the database is away`() async throws {
        let server = try PostgresServer(durability: .disposable)
        try await server.start()
        let topic = try await TestTopic()
        let database = try await TestDatabase(in: server)
        let (gathering, claiming) = try await onThread {
            try database.execute(OffsetBatch.table)
            // One has gathered what it will not be able to store, the other will not be able to claim.
            let gathering = RunningReader(topic, database.readers) { $0.commitInterval = .seconds(600) }
            let claiming = RunningReader(topic, database.readers, group: "\(topic.name)-2", reader: "other")
            try gathering.waitUntilAssigned()
            try claiming.waitUntilAssigned()
            try topic.fill(count: 10)
            try eventually("all is gathered") { gathering.observer.gathered == 10 }
            try eventually("all is stored") { claiming.metrics.recordsStored.value == 10 }
            return (gathering, claiming)
        }
        await server.kill()
        try await onThread {
            try topic.fill(count: 1)
            try eventually("the reader tries to claim") { claiming.count("cannot claim partitions yet") >= 2 }
            try claiming.stop()
            try gathering.stop()
        }
        try await server.start()
        try await onThread {
            let positions = try database.rows("SELECT reader, next_offset FROM offset_ledger ORDER BY 1")
            #expect(positions == [["other", "10"], ["reader", "0"]])
            #expect(try database.value("SELECT count(*) FROM stored") == "10")
        }
        await server.stop()
    }

    @Test func `a stop waits only so long for a database that hangs, and the batch is all or nothing`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try reader.waitUntilAssigned()
            var lock = try database.connect()
            try lock.begin()
            try lock.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
            try topic.fill(count: 10)
            try database.awaitLockWaiters(1)
            try reader.stop()
            try lock.commit()
            // The transaction that the reader left behind commits after all.
            try database.awaitStored(10)
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "10")
        }
    }

    @Test func `a database that refuses whatever comes ends the reader, and nothing of the batch is stored`()
        async throws
    {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try topic.fill(count: 10)
            try database.awaitStored(10)
            reader.observer.interfere { connection throws(PostgresError) in
                _ = try connection.query("SELECT 'no number'::int")
            }
            try topic.fill(count: 5)
            #expect {
                try reader.end()
            } throws: { error in
                (error as? PostgresError)?.sqlState == "22P02"
            }
            #expect(try database.value("SELECT count(*) FROM stored") == "10")
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "10")
        }
    }

    @Test func `a transaction that fails for a while is tried again from the topic, without a storm`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            let failures = Mutex(0)
            reader.observer.interfere { connection throws(PostgresError) in
                let fails = failures.withLock { count in
                    count += 1
                    return count <= 5
                }
                if fails { try connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$") }
            }
            try reader.waitUntilAssigned()
            let start = ContinuousClock.now
            try topic.fill(count: 10)
            try database.awaitStored(10)
            #expect(ContinuousClock.now - start >= .milliseconds(500))
            #expect(reader.metrics.recoveries.value == 5)
            try reader.stop()
            #expect(try database.verdict(10, partitions: 1) == "0 lost, 0 doubled")
        }
    }

    @Test func `a constraint that fails only in the commit ends the reader with nothing stored`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try database.execute("CREATE TABLE parent (n int PRIMARY KEY)")
            try database.execute("CREATE TABLE child (n int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
            let reader = RunningReader(topic, database.readers)
            reader.observer.interfere { connection throws(PostgresError) in
                try connection.execute("INSERT INTO child VALUES (1)")
            }
            try topic.fill(count: 5)
            #expect {
                try reader.end()
            } throws: { error in
                (error as? PostgresError)?.sqlState == "23503"
            }
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "0")
        }
    }

    // MARK: Other readers

    @Test func `two groups under one reader's name fence each other, and lose and double nothing`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let feed = Feed(topic)
            let first = RunningReader(topic, database.readers) { $0.fencedPause = .milliseconds(300) }
            let second = RunningReader(topic, database.readers, group: "\(topic.name)-2") {
                $0.fencedPause = .milliseconds(500)
            }
            try eventually("both were fenced twice") { first.count("fenced") >= 2 && second.count("fenced") >= 2 }
            let count = try feed.stop()
            try first.stop()
            try database.awaitStored(2 * count)
            try second.stop()
            #expect(try database.verdict(count, partitions: 2) == "0 lost, 0 doubled")
        }
    }

    @Test func `partitions move although their owner's batch is in doubt, and its late commit stores nothing`()
        async throws
    {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true)
            try first.waitUntilAssigned(2)
            var lock = try database.connect()
            try lock.begin()
            try lock.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
            try topic.fill(count: 10)
            try database.awaitLockWaiters(1)
            let hanging = "SELECT min(xact_start) FROM pg_stat_activity WHERE \(TestDatabase.waitForLock)"
            let batch = try database.value(hanging)
            // The first reader is asked for its partitions while its batch hangs, twice where the group finds itself anew.
            // It does not hold the others up until its lock's 30 seconds are over: the new owner ends its session.
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try second.waitUntilAssigned(1)
            try eventually("the hanging session is ended") { try database.value(hanging) != batch }
            #expect(try database.value("SELECT count(*) FROM offset_ledger WHERE epoch > 1") != "0")
            try lock.commit()
            try database.awaitStored(20)
            try first.waitUntilAssigned(1)
            try topic.fill(count: 10)
            try database.awaitStored(40)
            try first.stop()
            try second.stop()
            #expect(try database.verdict(20, partitions: 2) == "0 lost, 0 doubled")
        }
    }

    @Test func `a rebalance while a batch fails gives the partitions up all the same`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true) { $0.commitInterval = .seconds(600) }
            try first.waitUntilAssigned(2)
            // It gathers, and what it stores when it is asked for its partitions fails.
            first.observer.interfere { connection throws(PostgresError) in
                try connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
            }
            try topic.fill(count: 10)
            try eventually("all is gathered") { first.observer.gathered == 20 }
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try second.waitUntilAssigned(1)
            try eventually("the second stores its part") { second.metrics.recordsStored.value >= 10 }
            #expect(first.metrics.recoveries.value >= 1)
            first.observer.interfere(nil)
            try first.waitUntilAssigned(1)
            try eventually("the first reads its part anew") { first.observer.gathered >= 30 }
            try first.stop()
            try second.stop()
            #expect(second.metrics.recoveries.value == 0)
            // A machine so busy that a member was expelled leaves records for the next one.
            let third = RunningReader(topic, database.readers, sharesGroup: true)
            try eventually("all is stored once") {
                try database.verdict(10, partitions: 2) == "0 lost, 0 doubled"
            }
            try third.stop()
            #expect(try database.verdict(10, partitions: 2) == "0 lost, 0 doubled")
        }
    }
}
