import DatabaseTestSupport
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import ExactlyOnce

/// What a reader does with records that a producer sent again.
@Suite(.timeLimit(.minutes(10))) struct ResendTests {
    // MARK: While nothing fails

    /// What comes behind the first hundred records: the same once more, or some of them, and others behind.
    @Test(arguments: [
        [0..<100], [40..<100], [99..<100], [0..<50], [0..<100, 0..<100], [0..<150], [60..<150, 120..<150, 0..<151],
    ])
    func `what is sent again is skipped and counted, what comes behind it is stored`(runs: [Range<Int>]) async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 7))
            try topic.send("a", 0..<100)
            try database.awaitStored(200)
            #expect(reader.metrics.recordsResent.value == 0)
            for run in runs { try topic.send("a", run) }

            let sent = 2 * (100 + runs.map(\.count).reduce(0, +))
            let distinct = 2 * max(100, runs.map(\.upperBound).max()!)
            try database.awaitPosition(sent)
            try eventually("all is counted") {
                reader.metrics.recordsStored.value + reader.metrics.recordsResent.value == sent
            }
            #expect(reader.metrics.recordsRead.value == sent)
            #expect(reader.metrics.recordsStored.value == distinct)
            #expect(reader.metrics.recordsResent.value == sent - distinct)
            try reader.stop()
            #expect(try database.verdictOfSource("a", distinct / 2, partitions: 2) == "0 lost, 0 doubled")
            #expect(
                try database.rows("SELECT DISTINCT source, sequence FROM source_position")
                    == [["a", "\(distinct / 2 - 1)"]])
        }
    }

    @Test func `the log names source, partition and offsets of what was skipped`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            try topic.send("one", 0..<10, to: 1)
            try topic.send("two", 0..<10, to: 1)
            try topic.send("one", 4..<10, to: 1)
            let reader = RunningReader(topic, database.readers) { $0.commitInterval = .seconds(600) }
            try eventually("all is gathered") { reader.observer.gathered == 26 }
            try reader.stop()
            #expect(reader.metrics.recordsResent.value == 6)
            #expect(reader.count("had been stored before") == 1)
            let line = try #require(reader.log.first { $0.contains("had been stored before") })
            for words in [
                "warning", "kafka.topic=\(topic.name)", "kafka.partition=1", "source=one", "records=6",
                "kafka.offset.first=20", "kafka.offset.last=25",
            ] {
                #expect(line.contains(words), "\(line)")
            }
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `sources that take turns and go back at any place are stored once each`(seed: UInt64) async throws {
        let topic = try await TestTopic(partitions: 3)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            var random = SplitMix64(seed: seed)
            let sources = ["a", "b", "c", "d", "e"]
            var next: [String: Int] = [:]
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 1 + random.below(50)))
            for _ in 0..<150 {
                let source = random.pick(sources)
                let end = next[source, default: 0]
                let start = random.oneIn(3) ? end - random.below(min(end, 60) + 1) : end
                let stop = start + 1 + random.below(20)
                // All partitions get the run, each as one stream of the source.
                try topic.send(source, start..<stop)
                next[source] = max(end, stop)
            }
            try database.awaitPosition(try topic.recordCount())
            try reader.stop()
            for source in sources {
                #expect(
                    try database.verdictOfSource(source, next[source, default: 0], partitions: 3) == "0 lost, 0 doubled"
                )
            }
        }
    }

    @Test func `each partition has marks of its own`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try topic.send("a", 0..<50, to: 0)
            try database.awaitStored(50)
            // A source's records are spread over partitions: in the other one these are new.
            try topic.send("a", 10..<30, to: 1)
            try database.awaitStored(70)
            try reader.stop()
            #expect(reader.metrics.recordsResent.value == 0)
        }
    }

    @Test func `records that nobody numbered are all stored`() async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try topic.fill(count: 20)
            try topic.send("a", 0..<5)
            try topic.fill(count: 20)
            try database.awaitStored(45)
            try reader.stop()
            #expect(reader.metrics.recordsResent.value == 0)
        }
    }

    @Test func `rows, position and marks are of one transaction`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 30))
            try topic.send("a", 0..<100)
            try database.awaitStored(200)
            try reader.stop()
            #expect(
                try database.rows(
                    """
                    SELECT ledger.xmin = mark.xmin, ledger.xmin = row.xmin, mark.sequence
                    FROM offset_ledger AS ledger JOIN source_position AS mark USING (reader, log_id, partition)
                        JOIN stored AS row ON row.partition = ledger.partition AND row.sequence = mark.sequence
                    """) == [["t", "t", "99"], ["t", "t", "99"]])
        }
    }

    // MARK: From one reader to the next

    @Test func `a reader that was started anew knows what was stored before`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true)
            try topic.send("a", 0..<100)
            try database.awaitStored(200)
            try first.stop()
            try topic.send("a", 30..<130)
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try database.awaitPosition(400)
            try second.stop()
            #expect(try database.verdictOfSource("a", 130, partitions: 2) == "0 lost, 0 doubled")
            #expect(second.metrics.recordsResent.value == 140)
        }
    }

    @Test func `partitions that move between readers take their marks along`() async throws {
        let topic = try await TestTopic(partitions: 4)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true)
            try first.waitUntilAssigned(4)
            let feed = Feed(topic, source: "a")
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try second.waitUntilAssigned(2)
            try first.waitUntilAssigned(2)
            let before = second.metrics.recordsResent.value
            try eventually("both skip some") { second.metrics.recordsResent.value > before }
            try first.stop()
            try second.waitUntilAssigned(4)
            let count = try feed.stop()
            try database.awaitPosition(try topic.recordCount())
            try second.stop()
            #expect(try database.verdictOfSource("a", count, partitions: 4) == "0 lost, 0 doubled")
            #expect(first.metrics.recordsResent.value > 0)
        }
    }

    @Test func `two groups that fence each other store what is sent again once`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let feed = Feed(topic, source: "a")
            let first = RunningReader(topic, database.readers) { $0.fencedPause = .milliseconds(300) }
            let second = RunningReader(topic, database.readers, group: "\(topic.name)-2") {
                $0.fencedPause = .milliseconds(500)
            }
            try eventually("both were fenced twice") { first.count("fenced") >= 2 && second.count("fenced") >= 2 }
            let count = try feed.stop()
            try first.stop()
            try database.awaitPosition(try topic.recordCount())
            try second.stop()
            #expect(try database.verdictOfSource("a", count, partitions: 2) == "0 lost, 0 doubled")
        }
    }

    // MARK: When the database fails

    @Test func `what a failed transaction took in is no resend when it is read anew`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers)
            try topic.send("a", 0..<20)
            try database.awaitStored(40)
            let failures = Mutex(0)
            reader.observer.interfere { connection throws(PostgresError) in
                let fails = failures.withLock { count in
                    count += 1
                    return count <= 3
                }
                if fails { try connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$") }
            }
            try topic.send("a", 10..<40)
            try database.awaitPosition(100)
            try reader.stop()
            #expect(reader.metrics.recoveries.value == 3)
            #expect(try database.verdictOfSource("a", 40, partitions: 2) == "0 lost, 0 doubled")
            // Counted with what is stored, so once.
            #expect(reader.metrics.recordsResent.value == 20)
        }
    }

    @Test func `a reader whose session is ended again and again stores what is sent again once`() async throws {
        let topic = try await TestTopic(partitions: 2)
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let reader = RunningReader(topic, database.readers, observer: .init(capacity: 50))
            try reader.waitUntilAssigned(2)
            let feed = Feed(topic, source: "a")
            var (ended, stored) = (0, 0)
            try eventually("twenty sessions were ended", within: hangLimit) {
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
            try database.awaitPosition(try topic.recordCount())
            try reader.stop()
            #expect(try database.verdictOfSource("a", count, partitions: 2) == "0 lost, 0 doubled")
            #expect(reader.metrics.recoveries.value >= 10)
            #expect(reader.metrics.recordsResent.value > 0)
        }
    }

    @Test(arguments: [false, true])
    func `the next reader knows of a batch in doubt what became of it`(isOvertaken: Bool) async throws {
        let topic = try await TestTopic()
        try await TestDatabase.run { database in
            try database.execute(OffsetBatch.table)
            let first = RunningReader(topic, database.readers, sharesGroup: true)
            try first.waitUntilAssigned()
            var lock = try database.connect()
            try lock.begin()
            try lock.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
            try topic.send("a", 0..<10)
            try database.awaitLockWaiters(1)
            // It ends, and leaves a transaction behind whose end it does not know.
            try first.stop()
            try topic.send("a", 0..<15)
            if !isOvertaken {
                try lock.commit()
                try database.awaitStored(10)
            }
            let second = RunningReader(topic, database.readers, sharesGroup: true)
            try second.waitUntilAssigned()
            if isOvertaken { try lock.commit() }
            try database.awaitPosition(25)
            try eventually("all is counted") {
                second.metrics.recordsStored.value == (isOvertaken ? 15 : 5) && second.metrics.recordsResent.value == 10
            }
            try second.stop()
            #expect(try database.verdictOfSource("a", 15, partitions: 1) == "0 lost, 0 doubled")
        }
    }
}
