import DatabaseTestSupport
import Postgres
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Consumer

/// Writers that COPY without a pause while days pass in moments, with partitions made, filled and dropped beside them.
@Suite(.timeLimit(.minutes(10))) struct MidnightTests {
    /// Each goes further than partitions were made ahead, as if no maintainer had been there: rows of the new day begin in
    /// the default partition, and are moved while more of them come.
    private static let midnights = 8
    private static let daysAMidnight = PartitionMaintenance.daysAhead + 1

    @Test func `while days are made and dropped, no writer fails or waits, and each row is seen once`() async throws {
        let database = try await TestDatabase()
        // Days whose time is over, one after the other.
        for day in 0..<Self.midnights * Self.daysAMidnight {
            try database.execute("SELECT tickstream_make_day('trade_data_finhub', date '2026-10-01' + \(day))")
        }
        let state = State()
        let writers = (1...2).map { writer in Worker { try Self.write(writer, state, database) } }
        let reader = Worker { try Self.read(state, database) }
        let maintainer = Worker {
            defer { state.isOver.store(true, ordering: .releasing) }
            var connection = try database.connect()
            var maintenance = PartitionMaintenance.of(keeping: 40)
            try maintenance.run(today: today, &connection)
            for _ in 0..<Self.midnights {
                state.day.wrappingAdd(Self.daysAMidnight, ordering: .releasing)
                let stored = state.rows.load(ordering: .acquiring)
                try eventually("writers have come into the new day") {
                    state.rows.load(ordering: .acquiring) > stored + 10 * Copy.rows || reader.isOver
                        || writers.contains(where: \.isOver)
                }
                try maintenance.run(today: state.day.load(ordering: .acquiring), &connection)
            }
        }
        try await onThread {
            try maintainer.value()
            try reader.value()
        }
        try await onThread { for writer in writers { try writer.value() } }
        let stored = state.rows.load(ordering: .acquiring)
        #expect(
            try database.rows("SELECT count(*), count(DISTINCT id) FROM trade_data_finhub")
                == [["\(stored)", "\(stored)"]])
        // Only odd times are left in the default partition, and what came after the last midnight's maintenance is none.
        #expect(try database.value("SELECT count(*) FROM trade_data_finhub_default") == "\(stored / Copy.rows)")
        #expect(try database.value("SELECT min(day) FROM daily_partition") == "2026-11-14")
    }

    private final class State: Sendable {
        let day = Atomic(today)
        /// What is committed.
        let rows = Atomic(0)
        let isOver = Atomic(false)
    }

    /// One transaction's rows: around the day's midnight, and one of an odd time.
    private enum Copy {
        static let rows = 100

        static func text(_ day: Int, firstID: Int) -> [UInt8] {
            var text = ""
            for row in 0..<rows {
                let seconds = row == 0 ? 4_102_444_800 : day * 86_400 + (row % 2 == 0 ? row : -row)
                let time = Timestamp(milliseconds: Int64(seconds) * 1000)
                text += "\(firstID + row)\tA\t1\t\(time)\t1\t\(time)\t\(time)\t\(time)\t0\t0\ttests\t0\t0\n"
            }
            return Array(text.utf8)
        }
    }

    /// Stores in transactions like the consumer's, without a pause; fails when it has to wait.
    private static func write(_ writer: Int, _ state: State, _ database: TestDatabase) throws {
        var connection = try database.connect()
        // The maintainer's turns at the locks are of 100 ms, of which several may follow.
        try connection.execute("SET lock_timeout = '5s'")
        var id = writer << 40
        while !state.isOver.load(ordering: .acquiring) {
            let text = Copy.text(state.day.load(ordering: .acquiring), firstID: id)
            id += Copy.rows
            try connection.begin()
            let counted = try connection.copyIn(
                """
                COPY trade_data_finhub (id, symbol, price, "timestamp", volume, to_kafka, to_consumer, to_db,
                    kafka_partition, kafka_offset, source, sequence, repeat) FROM STDIN
                """
            ) { (stream) throws(PostgresError) in try stream.send(text) }
            #expect(counted == Copy.rows)
            try connection.commit()
            state.rows.wrappingAdd(Copy.rows, ordering: .releasing)
        }
    }

    /// Counts all the time: no row is ever missing, or there twice.
    private static func read(_ state: State, _ database: TestDatabase) throws {
        var connection = try database.connect()
        while !state.isOver.load(ordering: .acquiring) {
            let committed = state.rows.load(ordering: .acquiring)
            let counts = try connection.query("SELECT count(*), count(DISTINCT id) FROM trade_data_finhub")
            let (rows, ids) = (Int(counts.int64(0, 0) ?? 0), Int(counts.int64(0, 1) ?? 0))
            guard rows == ids, rows >= committed else {
                throw TestFailure("\(rows) rows of \(ids) trades where \(committed) were committed before")
            }
        }
    }
}
