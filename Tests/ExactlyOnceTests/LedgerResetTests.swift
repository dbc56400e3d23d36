import DatabaseTestSupport
import Postgres
import TestSupport
import Testing

@testable import ExactlyOnce

@Suite(.timeLimit(.minutes(10))) struct LedgerResetTests {
    private static func ledger(_ reader: String) -> OffsetLedger {
        OffsetLedger(reader: reader, topic: "trades", cluster: "cluster", acceptsNewCluster: false)
    }

    @discardableResult
    private static func reset(
        _ database: TestDatabase, _ reader: String? = nil, partition: Int32? = 0, to offset: Int64
    ) throws -> [LedgerReset] {
        var connection = try database.connect()
        try connection.begin()
        let resets = try LedgerReset.apply(
            LedgerPosition.Selection(reader: reader, cluster: "cluster", topic: "trades", partition: partition),
            &connection
        ) { _ in offset }
        try connection.commit()
        return resets
    }

    /// What the first claim of a partition may do: the compare-and-set of a batch.
    private static func advance(
        from: Int64, to: Int64, _ connection: inout PostgresConnection
    ) throws -> Int {
        try connection.execute(
            "UPDATE offset_ledger SET next_offset = $2 WHERE epoch = 1 AND next_offset = $1",
            parameters: [.integer(from), .integer(to)])
    }

    private static func skips(_ database: TestDatabase) throws -> [[String]] {
        try database.rows(
            """
            SELECT id, details->>'first_offset', details->>'next_offset' FROM feed_event
            WHERE kind = 'records_skipped' ORDER BY id
            """)
    }

    @Test func `a claim that waits behind a reset begins where the reset has put it`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0], &connection) { _ in 10 }
            try connection.begin()
            _ = try LedgerReset.apply(
                LedgerPosition.Selection(reader: "a", cluster: "cluster", topic: "trades", partition: 0), &connection
            ) { _ in 3 }
            let claim = Worker {
                var other = try database.connect()
                return try Self.ledger("a").claims([0], &other) { _ in throw TestFailure("it is known") }[0]
            }
            try database.awaitLockWaiters(1)
            try connection.commit()
            let claimed = try claim.value()
            #expect(claimed.log == 2 && claimed.nextOffset == 3)
            #expect(
                try database.rows("SELECT log_id, next_offset, epoch FROM offset_ledger ORDER BY 1")
                    == [["1", "10", "2"], ["2", "3", "\(claimed.epoch)"]])
        }
    }

    @Test func `what several readers skip is written down once, together or one by one`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0, 1], &connection) { _ in 10 }
            _ = try Self.ledger("b").claim([0, 1], &connection) { $0 == 0 ? 15 : 10 }
            #expect(try Self.reset(database, to: 20).map(\.skipped) == [10, 5])
            let first = RowID.of(log: 1, partition: 0, offset: 10)
            #expect(try Self.skips(database) == [["\(first)", "10", "20"]])
            #expect(
                try database.value("SELECT cause FROM feed_event")
                    == "an operator moved readers of trades [0] to offset 20: a from offset 10, b from offset 15")

            let second = RowID.of(log: 1, partition: 1, offset: 10)
            try Self.reset(database, "a", partition: 1, to: 12)
            try Self.reset(database, "b", partition: 1, to: 12)
            #expect(try Self.skips(database).last == ["\(second)", "10", "12"])
            // Part of a range that stands there, and beyond its end.
            try database.execute("UPDATE offset_ledger SET next_offset = 11 WHERE reader = 'b' AND partition = 1")
            try Self.reset(database, "b", partition: 1, to: 12)
            #expect(try Self.skips(database).count == 2)
            try database.execute("UPDATE offset_ledger SET next_offset = 10 WHERE reader = 'b' AND partition = 1")
            try Self.reset(database, "b", partition: 1, to: 14)
            #expect(try Self.skips(database).last == ["\(second + 2)", "12", "14"])
        }
    }

    @Test func `what is on record as lost is not written down as skipped, too`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0], &connection) { _ in 10 }
            _ = try Self.ledger("b").claim([0], &connection) { _ in 10 }
            let lost = RowID.of(log: 1, partition: 0, offset: 10)
            try database.execute(
                """
                INSERT INTO feed_event (id, at, source, sequence, kind, details, kafka_partition, kafka_offset)
                VALUES (\(lost), now(), 'a', 0, 'records_lost', '{"first_offset":10,"next_offset":30}', 0, 10)
                """)
            try Self.reset(database, "a", to: 30)
            #expect(try Self.skips(database) == [])
            try Self.reset(database, to: 45)
            #expect(try Self.skips(database) == [["\(lost + 20)", "30", "45"]])
        }
    }

    @Test func `a generation is made once for all readers and partitions, and each reset backward makes the next`()
        async throws
    {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            for reader in ["a", "b"] { _ = try Self.ledger(reader).claim([0, 1], &connection) { _ in 10 } }
            _ = try Self.ledger("a").claim([0], &connection) { _ in 0 }
            #expect(try Self.reset(database, "a", to: 10).map(\.after.log) == [2])
            let late = try Self.reset(database, "b", partition: nil, to: 4)
            #expect(late.map(\.after.log) == [2, 2])
            #expect(late.map(\.after.generation) == [2, 2])
            #expect(late.map(\.skipped) == [0, 0])
            #expect(try Self.reset(database, "a", to: 0).map(\.after.log) == [3])
            #expect(
                try database.rows("SELECT log_id, generation FROM topic_log ORDER BY 1")
                    == [["1", "1"], ["2", "2"], ["3", "3"]])
            let positions = try LedgerPosition.current(.init(), &connection)
            #expect(
                positions.map { "\($0.reader) \($0.partition) \($0.generation) \($0.nextOffset) \($0.epoch)" } == [
                    "a 0 3 0 4", "a 1 1 10 1", "b 0 2 4 2", "b 1 2 4 2",
                ])
        }
    }

    @Test func `readers in different generations go on in the same one, together or one by one`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            for reader in ["a", "b"] { _ = try Self.ledger(reader).claim([0], &connection) { _ in 10 } }
            try Self.reset(database, "a", to: 0)
            #expect(try Self.reset(database, to: 0).map(\.after.generation) == [3, 3])
            for _ in 0..<2 { try Self.reset(database, "a", to: 0) }
            #expect(try Self.reset(database, "b", to: 0).map(\.after.generation) == [5])
        }
    }

    @Test(arguments: [30, 10, 5] as [Int64])
    func `an owner whose position is moved stores nothing more`(_ offset: Int64) async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0], &connection) { _ in 10 }
            try Self.reset(database, to: offset)
            for from in [10, offset] { #expect(try Self.advance(from: from, to: offset + 1, &connection) == 0) }
        }
    }

    @Test func `a reset waits for the owner's commit under way, and moves from where that ends`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0], &connection) { _ in 10 }
            try connection.begin()
            #expect(try Self.advance(from: 10, to: 25, &connection) == 1)
            let worker = Worker { try Self.reset(database, to: 20) }
            try database.awaitLockWaiters(1)
            try connection.commit()
            let reset = try worker.value()
            #expect(reset.map(\.before.nextOffset) == [25])
            #expect(reset.map(\.after.generation) == [2])
        }
    }

    @Test func `when no target is found, nothing is changed`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            _ = try Self.ledger("a").claim([0, 1], &connection) { _ in 10 }
            try connection.begin()
            #expect(throws: TestFailure.self) {
                _ = try LedgerReset.apply(.init(topic: "trades"), &connection) { position in
                    guard position.partition == 0 else { throw TestFailure("no such partition") }
                    return 4
                }
            }
            try connection.rollback()
            #expect(try LedgerPosition.current(.init(), &connection).map(\.epoch) == [1, 1])
            #expect(try database.value("SELECT count(*) FROM topic_log") == "1")
        }
    }
}
