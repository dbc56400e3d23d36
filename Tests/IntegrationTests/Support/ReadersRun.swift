import DatabaseTestSupport
import ProgramTestSupport
import TestSupport
import Testing

/// Trades for both readers, written in portions while something happens to their way to the database.
struct ReadersRun {
    static let partitions: Int32 = 2
    /// Records a portion, in each partition.
    static let portion = 400

    let broker: Broker
    private(set) var written = 0

    init() async throws {
        broker = try await Broker(partitions: Int(Self.partitions))
    }

    /// Writes one more portion to each partition.
    mutating func write() async throws {
        for partition in 0..<Self.partitions {
            try await RecordWriter(broker: broker).write(
                (written..<written + Self.portion).map { RecordWriter.trade("source-\(partition)", $0) },
                to: broker.topic, partition: partition)
        }
        written += Self.portion
    }

    /// Waits until each program has stored all that was written, or so much of it.
    func waitUntilStored(_ readers: [RunningProgram], atLeast count: Int? = nil, in database: TestDatabase) async throws
    {
        for reader in readers {
            try await reader.wait(for: "\(reader.name) to have stored what was written") {
                let stored = try database.value(
                    """
                    SELECT coalesce(sum(next_offset), 0) FROM offset_ledger JOIN topic_log USING (log_id)
                    WHERE reader = '\(reader.name)' AND topic = '\(broker.topic)'
                    """)
                return Int(stored)! >= count ?? written * Int(Self.partitions)
            }
        }
    }

    /// All that was written is there once, and the rollups agree.
    func check(_ database: TestDatabase) throws {
        let all = "\(written * Int(Self.partitions))"
        let counts = try database.rows(
            "SELECT count(*), count(DISTINCT (source, sequence)), count(DISTINCT id) FROM trade_data_finhub")
        #expect(counts == [[all, all, all]])
        #expect(try database.value("SELECT count(*) FROM rejected_trade") == "0")
        #expect(try database.rollupDifferences() == [])
    }
}
