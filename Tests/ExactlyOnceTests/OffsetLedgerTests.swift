import DatabaseTestSupport
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import ExactlyOnce

@Suite(.timeLimit(.minutes(10))) struct OffsetLedgerTests {
    private struct Stop: Error {}

    /// For partitions that must be known.
    @Sendable private static func unasked(_ partition: Int32) throws -> Int64 {
        throw TestFailure("asked for the first offset of partition \(partition)")
    }

    private static func ledger(
        reader: String = "reader", topic: String = "topic", cluster: String = "cluster", accepting: Bool = false
    ) -> OffsetLedger {
        OffsetLedger(reader: reader, topic: topic, cluster: cluster, acceptsNewCluster: accepting)
    }

    /// Begins a transaction, stores a row and moves positions on; the caller commits.
    private static func store(
        _ advances: [Advance], of ledger: OffsetLedger, _ connection: inout PostgresConnection
    ) throws {
        try connection.begin()
        try connection.execute("INSERT INTO stored VALUES (1)")
        try ledger.advanceNow(advances, &connection)
    }

    @Test func `the first claim begins at the log's first offset, and later ones where the rows end`() async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            var connection = try database.connect()
            let ledger = Self.ledger()
            let first = try ledger.claims([3, 1], &connection) { Int64($0) * 10 }
            #expect(first.map(\.partition) == [1, 3])
            #expect(first.map(\.nextOffset) == [10, 30])
            #expect(first.map(\.epoch) == [1, 1])
            #expect(Set(first.map(\.log)) == [1])

            try Self.store([Advance(claim: first[1], from: 30, to: 42)], of: ledger, &connection)
            try connection.commit()
            let second = try ledger.claims([1, 3], &connection, firstOffset: Self.unasked)
            #expect(second.map(\.nextOffset) == [10, 42])
            #expect(second.map(\.epoch) == [2, 2])
            #expect(
                try database.value("SELECT count(*) FROM offset_ledger WHERE owner_pid = \(connection.backendPID)")
                    == "2")
        }
    }

    @Test func `a later claim fences the earlier one, which stores nothing and learns the partitions`() async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            let ledger = Self.ledger()
            var old = try database.connect()
            let claims = try ledger.claims([0, 1, 2, 3], &old) { _ in 0 }
            var new = try database.connect()
            _ = try ledger.claims([1, 3], &new, firstOffset: Self.unasked)

            let advances = claims.map { Advance(claim: $0, from: 0, to: 5) }
            #expect(throws: LedgerError.fenced(partitions: [1, 3])) { try Self.store(advances, of: ledger, &old) }
            try old.rollback()
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            #expect(try database.value("SELECT sum(next_offset) FROM offset_ledger") == "0")

            // What nobody claimed is still the old one's.
            try Self.store(advances.filter { [0, 2].contains($0.claim.partition) }, of: ledger, &old)
            try old.commit()
            #expect(
                try database.rows("SELECT partition, next_offset FROM offset_ledger ORDER BY 1")
                    == [["0", "5"], ["1", "0"], ["2", "5"], ["3", "0"]])
        }
    }

    @Test func `a COMMIT that brings an advance which is fenced stores nothing`() async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            let ledger = Self.ledger()
            var old = try database.connect()
            let claims = try ledger.claims([0, 1], &old) { _ in 0 }
            var new = try database.connect()
            _ = try ledger.claims([1], &new, firstOffset: Self.unasked)

            try old.begin()
            try old.execute("INSERT INTO stored VALUES (1)")
            try ledger.advance(claims.map { Advance(claim: $0, from: 0, to: 5) }, &old)
            let error = #expect(throws: PostgresError.self) { try old.commit() }
            #expect(error.flatMap { LedgerError(fencing: $0) } == .fenced(partitions: [1]))
            #expect(error?.isRetriable == false && error?.isDataError == false && error?.isConnectionLost == false)
            try old.rollback()
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            #expect(try database.value("SELECT sum(next_offset) FROM offset_ledger") == "0")
        }
    }

    @Test func `an advance from another offset than the ledger's is fenced`() async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            let ledger = Self.ledger()
            var connection = try database.connect()
            let claim = try ledger.claims([0], &connection) { _ in 0 }[0]
            try Self.store([Advance(claim: claim, from: 0, to: 5)], of: ledger, &connection)
            try connection.commit()
            for (from, to) in [(0, 5), (4, 9), (6, 9)] as [(Int64, Int64)] {
                #expect(throws: LedgerError.fenced(partitions: [0])) {
                    try Self.store([Advance(claim: claim, from: from, to: to)], of: ledger, &connection)
                }
                try connection.rollback()
            }
            #expect(try database.value("SELECT next_offset FROM offset_ledger") == "5")
            #expect(try database.value("SELECT count(*) FROM stored") == "1")
        }
    }

    @Test(arguments: [true, false])
    func `a claim waits behind a commit in doubt and answers what became of it`(commits: Bool) async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            let ledger = Self.ledger()
            var old = try database.connect()
            let claim = try ledger.claims([0], &old) { _ in 0 }[0]
            try Self.store([Advance(claim: claim, from: 0, to: 7)], of: ledger, &old)

            let next = Worker {
                var new = try database.connect()
                return try ledger.claims([0], &new, firstOffset: Self.unasked)[0]
            }
            try database.awaitLockWaiters(1)
            #expect(!next.isOver)
            if commits { try old.commit() } else { try old.rollback() }
            let answer = try next.value()
            #expect(answer.nextOffset == (commits ? 7 : 0))
            #expect(answer.epoch == 2)
        }
    }

    @Test func `an advance that waits behind a claim is fenced by it`() async throws {
        try await TestDatabase.run { database in
            try database.execute("CREATE TABLE stored (n int)")
            let ledger = Self.ledger()
            var connection = try database.connect()
            let claim = try ledger.claims([0], &connection) { _ in 0 }[0]
            let zombie = Mutex<Worker<Void>?>(nil)
            // The claim has raised partition 0's epoch and not committed yet while it asks for partition 1's offset.
            _ = try ledger.claims([0, 1], &connection) { _ in
                let worker = Worker {
                    var old = try database.connect()
                    try Self.store([Advance(claim: claim, from: 0, to: 7)], of: ledger, &old)
                    try old.commit()
                }
                zombie.withLock { $0 = worker }
                try database.awaitLockWaiters(1)
                return 0
            }
            let worker = try #require(zombie.withLock { $0 })
            #expect(throws: LedgerError.fenced(partitions: [0])) { try worker.value() }
            #expect(try database.value("SELECT count(*) FROM stored") == "0")
            #expect(try database.value("SELECT sum(next_offset) FROM offset_ledger") == "0")
        }
    }

    @Test func `an advance that waits behind a change of something else goes through`() async throws {
        try await TestDatabase.run { database in
            let ledger = Self.ledger()
            var connection = try database.connect()
            let claims = try ledger.claims([0, 1], &connection) { _ in 0 }
            var other = try database.connect()
            try other.begin()
            try other.execute("UPDATE offset_ledger SET updated_at = now() WHERE partition = 1")
            let worker = Worker {
                var connection = try database.connect()
                try connection.begin()
                try ledger.advance(claims.map { Advance(claim: $0, from: 0, to: 7) }, &connection)
                try connection.commit()
            }
            try database.awaitLockWaiters(1)
            try other.commit()
            try worker.value()
            #expect(try database.rows("SELECT next_offset FROM offset_ledger") == [["7"], ["7"]])
        }
    }

    @Test func `a claim that fails in the middle claims nothing`() async throws {
        try await TestDatabase.run { database in
            let ledger = Self.ledger()
            var connection = try database.connect()
            _ = try ledger.claims([0], &connection) { _ in 4 }
            #expect(throws: Stop.self) {
                _ = try ledger.claims([0, 1, 2], &connection) { partition in
                    if partition == 2 { throw Stop() }
                    return 0
                }
            }
            try connection.rollback()
            #expect(try database.rows("SELECT partition, epoch, next_offset FROM offset_ledger") == [["0", "1", "4"]])
        }
    }

    @Test func `an unknown cluster is refused until it is accepted, and the rows of both stay`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let old = Self.ledger(cluster: "old")
            let claim = try old.claims([0], &connection) { _ in 0 }[0]
            try connection.begin()
            try old.advance([Advance(claim: claim, from: 0, to: 9)], &connection)
            try connection.commit()

            let refused = LedgerError.unknownCluster(reader: "reader", topic: "topic", cluster: "new")
            #expect(throws: refused) {
                _ = try Self.ledger(cluster: "new").claims([0], &connection) { _ in 0 }
            }
            try connection.rollback()
            #expect(try database.value("SELECT count(*) FROM topic_log") == "1")

            let accepting = Self.ledger(cluster: "new", accepting: true)
            let begun = try accepting.claims([0], &connection) { _ in 3 }[0]
            #expect((begun.log, begun.nextOffset, begun.epoch) == (2, 3, 1))
            // Known now, so it needs no permission any more; and neither does the old one.
            #expect(
                try Self.ledger(cluster: "new").claims([0], &connection, firstOffset: Self.unasked)[0].nextOffset == 3)
            let resumed = try old.claims([0], &connection, firstOffset: Self.unasked)[0]
            #expect((resumed.log, resumed.nextOffset, resumed.epoch) == (1, 9, 2))
            #expect(
                try database.rows(
                    "SELECT cluster_id, next_offset FROM offset_ledger JOIN topic_log USING (log_id) ORDER BY 1")
                    == [["new", "3"], ["old", "9"]])
        }
    }

    @Test func `a cluster that another reader knows is unknown to this one`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger(cluster: "old").claims([0], &connection) { _ in 0 }
            _ = try Self.ledger(reader: "other", cluster: "new").claims([0], &connection) { _ in 0 }
            #expect(throws: LedgerError.unknownCluster(reader: "reader", topic: "topic", cluster: "new")) {
                _ = try Self.ledger(cluster: "new").claims([0], &connection) { _ in 0 }
            }
        }
    }

    @Test func `partitions that row ids have no room for are refused`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            for partition in [2048, 5000, -1] as [Int32] {
                #expect(throws: LedgerError.partitionOutOfRange(partition)) {
                    _ = try Self.ledger().claims([0, partition], &connection) { _ in 0 }
                }
            }
            #expect(try database.value("SELECT count(*) FROM offset_ledger") == "0")
            #expect(try Self.ledger().claims([2047], &connection) { _ in 0 }[0].partition == 2047)
        }
    }

    @Test func `when all log numbers are taken, a new topic is refused and a known one goes on`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger().claims([0], &connection) { _ in 0 }
            try database.execute("INSERT INTO topic_log VALUES (4094, 'cluster', 'filler')")
            let last = try Self.ledger(topic: "last").claims([0], &connection) { _ in 0 }[0]
            #expect(last.log == 4095)
            #expect(throws: LedgerError.tooManyLogs) {
                _ = try Self.ledger(topic: "one more").claims([0], &connection) { _ in 0 }
            }
            try connection.rollback()
            #expect(try Self.ledger().claims([0], &connection, firstOffset: Self.unasked)[0].epoch == 2)
        }
    }

    @Test func `each reader has positions of its own in the same log`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let one = try Self.ledger(reader: "one").claims([0], &connection) { _ in 0 }[0]
            let two = try Self.ledger(reader: "two").claims([0], &connection) { _ in 0 }[0]
            #expect(one == two)
            try connection.begin()
            try Self.ledger(reader: "one").advance([Advance(claim: one, from: 0, to: 5)], &connection)
            try connection.commit()
            #expect(
                try database.rows("SELECT reader, next_offset FROM offset_ledger ORDER BY 1")
                    == [["one", "5"], ["two", "0"]])
        }
    }

    @Test func `eight first claims at once give one log number and epochs without a gap`() async throws {
        try await TestDatabase.run { database in
            let workers = (0..<8).map { _ in
                Worker {
                    var connection = try database.connect()
                    return try Self.ledger().claims([0, 1, 2], &connection) { Int64($0) }
                }
            }
            let claims = try workers.map { try $0.value() }
            for partition in 0..<3 {
                #expect(claims.map { $0[partition].epoch }.sorted() == Array(1...8))
                #expect(Set(claims.map { $0[partition].nextOffset }) == [Int64(partition)])
            }
            #expect(Set(claims.joined().map(\.log)) == [1])
            #expect(try database.value("SELECT count(*) FROM topic_log") == "1")
        }
    }

    @Test func `a new partition of a known topic begins at its first offset`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger().claims([0, 1], &connection) { _ in 5 }
            let asked = Mutex<[Int32]>([])
            let claims = try Self.ledger().claims([0, 1, 2], &connection) { partition in
                asked.withLock { $0.append(partition) }
                return 0
            }
            #expect(asked.withLock { $0 } == [2])
            #expect(claims.map(\.nextOffset) == [5, 5, 0])
            #expect(claims.map(\.epoch) == [2, 2, 1])
        }
    }
}
