import DatabaseTestSupport
import Postgres
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import ExactlyOnce

/// What the ledger keeps of the sources, beside its positions.
@Suite(.timeLimit(.minutes(10))) struct SourcePositionTests {
    private static func ledger(reader: String = "reader", topic: String = "topic") -> OffsetLedger {
        OffsetLedger(reader: reader, topic: topic, cluster: "cluster", acceptsNewCluster: false)
    }

    private static func mark(_ source: String, _ sequence: Int64) -> SourceMark {
        SourceMark(source: ShortText(source)!, sequence: sequence)
    }

    /// Claims partitions that may be new.
    private static func claim(
        _ connection: inout PostgresConnection, _ partitions: [Int32] = [0], of ledger: OffsetLedger = ledger()
    ) throws -> [Claim] {
        try ledger.claims(partitions, &connection) { _ in 0 }
    }

    private static func store(
        _ advances: [Advance], of ledger: OffsetLedger = ledger(), _ connection: inout PostgresConnection
    ) throws {
        try connection.begin()
        try ledger.advanceNow(advances, &connection)
        try connection.commit()
    }

    private static let marks = "SELECT partition, source, sequence FROM source_position ORDER BY 1, 2"

    @Test func `a claim brings the marks that were stored, each to its partition`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let first = try Self.claim(&connection, [0, 1, 2])
            #expect(first.map(\.marks) == [[], [], []])
            try Self.store(
                [
                    Advance(claim: first[2], from: 0, to: 5, marks: [Self.mark("b", 3)]),
                    Advance(claim: first[0], from: 0, to: 9, marks: [Self.mark("b", 8), Self.mark("a", 7)]),
                ], &connection)
            let second = try Self.claim(&connection, [0, 1, 2])
            #expect(Set(second[0].marks) == [Self.mark("a", 7), Self.mark("b", 8)])
            #expect(second[1].marks == [])
            #expect(second[2].marks == [Self.mark("b", 3)])

            // What has not risen stays as it is.
            try Self.store([Advance(claim: second[0], from: 9, to: 10, marks: [Self.mark("a", 12)])], &connection)
            #expect(try Set(Self.claim(&connection, [0])[0].marks) == [Self.mark("a", 12), Self.mark("b", 8)])
        }
    }

    @Test func `marks of another reader or topic are none of a claim's`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            for (reader, topic, sequence) in [("one", "x", 1), ("two", "x", 2), ("one", "y", 3)] as [(_, _, Int64)] {
                let ledger = Self.ledger(reader: reader, topic: topic)
                let claim = try Self.claim(&connection, of: ledger)[0]
                try Self.store(
                    [Advance(claim: claim, from: 0, to: 1, marks: [Self.mark("s", sequence)])], of: ledger, &connection)
            }
            for (reader, topic, sequence) in [("one", "x", 1), ("two", "x", 2), ("one", "y", 3)] as [(_, _, Int64)] {
                let claim = try Self.claim(&connection, of: Self.ledger(reader: reader, topic: topic))[0]
                #expect(claim.marks == [Self.mark("s", sequence)])
            }
        }
    }

    @Test func `marks change in the transaction of the position`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let claim = try Self.claim(&connection)[0]
            let together = """
                SELECT bool_and(source_position.xmin = offset_ledger.xmin)
                FROM source_position JOIN offset_ledger USING (reader, log_id, partition)
                """
            let marks = [Self.mark("a", 1), Self.mark("b", 1)]
            try Self.store([Advance(claim: claim, from: 0, to: 2, marks: marks)], &connection)
            #expect(try database.value(together) == "t")
            let risen = [Self.mark("b", 2), Self.mark("a", 2)]
            try Self.store([Advance(claim: claim, from: 2, to: 4, marks: risen)], &connection)
            #expect(try database.value(together) == "t")
            #expect(try database.rows(Self.marks) == [["0", "a", "2"], ["0", "b", "2"]])
        }
    }

    @Test func `an advance that is fenced raises no mark`() async throws {
        try await TestDatabase.run { database in
            var old = try database.connect()
            let claims = try Self.claim(&old, [0, 1])
            var new = try database.connect()
            let current = try Self.claim(&new, [1])[0]
            try Self.store([Advance(claim: current, from: 0, to: 1, marks: [Self.mark("a", 1)])], &new)

            let advances = claims.map { Advance(claim: $0, from: 0, to: 5, marks: [Self.mark("a", 5)]) }
            try old.begin()
            #expect(throws: LedgerError.fenced(partitions: [1])) { try Self.ledger().advanceNow(advances, &old) }
            // The transaction can only be rolled back.
            #expect(throws: PostgresError.self) { try old.commit() }
            #expect(try database.rows(Self.marks) == [["1", "a", "1"]])
        }
    }

    @Test(arguments: [true, false])
    func `a claim that waits behind a commit in doubt brings the marks that it leaves`(commits: Bool) async throws {
        try await TestDatabase.run { database in
            var old = try database.connect()
            let claim = try Self.claim(&old)[0]
            try Self.store([Advance(claim: claim, from: 0, to: 2, marks: [Self.mark("a", 2)])], &old)
            try old.begin()
            let marks = [Self.mark("a", 6), Self.mark("b", 1)]
            try Self.ledger().advanceNow([Advance(claim: claim, from: 2, to: 7, marks: marks)], &old)

            let next = Worker {
                var new = try database.connect()
                return try Self.claim(&new)[0]
            }
            try database.awaitLockWaiters(1)
            if commits { try old.commit() } else { try old.rollback() }
            #expect(try Set(next.value().marks) == (commits ? Set(marks) : [Self.mark("a", 2)]))
        }
    }

    @Test func `an advance that waits behind a claim raises no mark`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let claim = try Self.claim(&connection)[0]
            let zombie = Mutex<Worker<Void>?>(nil)
            // The claim has raised partition 0's epoch and not committed yet while it asks for partition 1's offset.
            _ = try Self.ledger().claims([0, 1], &connection) { _ in
                let worker = Worker {
                    var old = try database.connect()
                    try Self.store([Advance(claim: claim, from: 0, to: 7, marks: [Self.mark("a", 7)])], &old)
                }
                zombie.withLock { $0 = worker }
                try database.awaitLockWaiters(1)
                return 0
            }
            let worker = try #require(zombie.withLock { $0 })
            #expect(throws: LedgerError.fenced(partitions: [0])) { try worker.value() }
            #expect(try database.rows(Self.marks) == [])
        }
    }

    @Test func `a writer that was overtaken holds up nobody's marks`() async throws {
        try await TestDatabase.run { database in
            var old = try database.connect()
            let claims = try Self.claim(&old, [0, 1])
            try Self.store(claims.map { Advance(claim: $0, from: 0, to: 1, marks: [Self.mark("a", 1)]) }, &old)
            var new = try database.connect()
            let current = try Self.claim(&new, [1])[0]
            // It stands still inside its transaction, behind a failed compare-and-set.
            try old.begin()
            let stale = Advance(claim: claims[1], from: 1, to: 3, marks: [Self.mark("a", 3)])
            #expect(throws: LedgerError.fenced(partitions: [1])) { try Self.ledger().advanceNow([stale], &old) }
            try new.execute("SET lock_timeout = '5s'")
            try Self.store([Advance(claim: current, from: 1, to: 2, marks: [Self.mark("a", 2)])], &new)
            try old.rollback()
            #expect(try database.rows(Self.marks) == [["0", "a", "1"], ["1", "a", "2"]])
        }
    }

    @Test func `members that fight over the same partitions and sources never wait in a circle`() async throws {
        try await TestDatabase.run { database in
            let sources = (0..<50).map { "source \($0)" }
            let workers = (0..<4).map { member in
                Worker {
                    var connection = try database.connect()
                    var random = SplitMix64(seed: UInt64(member))
                    var stored = 0
                    while stored < 20 {
                        let claims = try Self.claim(&connection, [0, 1, 2].shuffled(using: &random))
                        let advances = claims.map { claim in
                            Advance(
                                claim: claim, from: claim.nextOffset, to: claim.nextOffset + 1,
                                marks: sources.map { Self.mark($0, claim.nextOffset) }.shuffled(using: &random))
                        }.shuffled(using: &random)
                        do {
                            try Self.store(advances, &connection)
                            stored += 1
                        } catch LedgerError.fenced {
                            try connection.rollback()
                            if random.oneIn(3) { stored += 1 }
                        }
                    }
                }
            }
            for worker in workers { try worker.value() }
            // Each mark is that of the last record that its partition's position is behind.
            #expect(
                try database.value(
                    """
                    SELECT count(*) FILTER (WHERE sequence = next_offset - 1) || ' of ' || count(*)
                    FROM source_position JOIN offset_ledger USING (reader, log_id, partition)
                    """) == "150 of 150")
        }
    }

    @Test func `a source's name is kept whatever it holds`() async throws {
        try await TestDatabase.run { database in
            let names = ["{\"a\",b}", "back\\slash", "NULL", " é😀 ", "'", String(repeating: "x", count: 47)]
            let marks = Set(names.map { Self.mark($0, .max) })
            var connection = try database.connect()
            let claim = try Self.claim(&connection)[0]
            try Self.store([Advance(claim: claim, from: 0, to: 9, marks: Array(marks))], &connection)
            #expect(try Set(Self.claim(&connection)[0].marks) == marks)
        }
    }

    @Test func `marks go with the position that they belong to`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let claims = try Self.claim(&connection, [0, 1])
            try Self.store(
                claims.map { Advance(claim: $0, from: 0, to: 4, marks: [Self.mark("a", 4)]) }, &connection)
            try database.execute("DELETE FROM offset_ledger WHERE partition = 0")
            #expect(try Self.claim(&connection, [0, 1]).map(\.marks) == [[], [Self.mark("a", 4)]])
        }
    }
}
