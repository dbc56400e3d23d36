import DatabaseTestSupport
import ExactlyOnce
import Postgres
import ServiceKit
import TestSupport
import Testing

@testable import Consumer

@Suite(.timeLimit(.minutes(10))) struct PartitionMaintenanceTests {
    @Test func `a week back and three days ahead have partitions, made once`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            let registry = MetricsRegistry()
            var maintenance = PartitionMaintenance.of(metrics: registry)
            for _ in 0..<2 { try maintenance.run(today: today, &connection) }
            let november = (14...24).map { "2026-11-\($0)" }
            #expect(try database.partitions() == november + ["default"])
            #expect(registry.render().contains("partitions_made_total{table=\"trade_data_finhub\"} 11\n"))
            #expect(registry.render().contains("\npartitions{table=\"trade_data_finhub\"} 11\n"))

            try maintenance.run(today: today + 1, &connection)
            #expect(try database.partitions() == november + ["2026-11-25", "default"])
        }
    }

    @Test func `days begin and end at midnight of UTC, whatever the session says`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            try connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
            var maintenance = PartitionMaintenance.of()
            try maintenance.run(today: today, &connection)
            try database.store(1, at: "timestamptz '2026-11-20 23:59:59.998999Z'")
            try database.store(1, at: "timestamptz '2026-11-20 23:59:59.999Z'")
            #expect(try database.rowsByPartition() == ["20261120": "1", "20261121": "1"])
        }
    }

    @Test func `what came before its day had a partition is moved there, and stands nowhere else`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            try database.store(3000, at: "timestamptz '2026-11-20 23:59:58.5Z'")
            try database.store(1, at: "timestamptz '2031-01-01Z'", firstID: 9001)
            #expect(try database.rowsByPartition() == ["default": "3001"])
            let registry = MetricsRegistry()
            var maintenance = PartitionMaintenance.of(metrics: registry)
            try maintenance.run(today: today, &connection)
            #expect(
                try database.rowsByPartition() == ["20261120": "1499", "20261121": "1501", "default": "1"])
            #expect(try database.value("SELECT count(DISTINCT id) FROM trade_data_finhub") == "3001")
            #expect(
                registry.render().contains(
                    "default_partition_rows_moved_total{table=\"trade_data_finhub\"} 3000\n"))
            #expect(registry.render().contains("default_partition_rows{table=\"trade_data_finhub\"} 1\n"))
        }
    }

    @Test func `a late day gets a partition when it comes in numbers, and a stray time does not`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            var maintenance = PartitionMaintenance.of()
            try maintenance.run(today: today, &connection)
            let enough = PartitionMaintenance.rowsWorthAPartition
            try database.store(enough - 1, at: "timestamptz '2026-09-09 12:00Z'")
            try database.store(enough, at: "timestamptz '2026-09-10 12:00Z'", firstID: 20_001)
            try database.store(7, at: "timestamptz '2026-10-11 12:00Z'", firstID: 40_001)
            // However many, what lies far ahead is a fault of a clock.
            try database.store(enough, at: "timestamptz '2027-11-21 12:00Z'", firstID: 60_001)
            try maintenance.run(today: today, &connection)
            #expect(
                try database.rowsByPartition()
                    == ["20260910": "\(enough)", "20261011": "7", "default": "\(2 * enough - 1)"])
            // The days that an old topic will bring next are there before they come.
            #expect(
                try database.value(
                    "SELECT min(day) || ' ' || max(day) || ' ' || count(*) FROM daily_partition WHERE day < '2026-11-01'"
                )
                    == "2026-09-10 2026-10-11 32")
        }
    }

    @Test func `rows that come faster than they are moved put a day off, and nothing of it stays`() async throws {
        try await TestDatabase.run { database in
            // Stands for writers: whatever is moved is written anew.
            try database.execute(
                """
                CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    OLD.id := OLD.id + 10000;
                    INSERT INTO trade_data_finhub_default SELECT (OLD).*;
                    RETURN OLD;
                END $$;
                CREATE TRIGGER again AFTER DELETE ON trade_data_finhub_default FOR EACH ROW EXECUTE FUNCTION again()
                """)
            try database.store(10_000, at: "timestamptz '2026-11-21 12:00Z'")
            var connection = try database.connect()
            var maintenance = PartitionMaintenance.of()
            let error = #expect(throws: PostgresError.self) { try maintenance.run(today: today, &connection) }
            #expect(error?.sqlState == "55P03")
            #expect(try database.rowsByPartition() == ["default": "10000"])
            #expect(try !database.partitions().contains("2026-11-21"))
        }
    }

    @Test func `retention drops whole days, and deletes what the default partition has of them`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            for day in ["2026-11-17", "2026-11-18", "2026-11-19"] {
                try database.execute("SELECT tickstream_make_day('trade_data_finhub', '\(day)')")
                try database.store(10, at: "timestamptz '\(day) 12:00Z'")
            }
            try database.store(
                PartitionMaintenance.rowsTrimmedAtOnce + 1, at: "timestamptz '1999-12-31 12:00Z'", firstID: 100)
            try database.store(5, at: "timestamptz '2030-01-01Z'", firstID: 90_000)
            let registry = MetricsRegistry()
            var maintenance = PartitionMaintenance.of(keeping: 2, metrics: registry)
            try maintenance.run(today: today, &connection)
            #expect(try database.rowsByPartition() == ["20261119": "10", "default": "5"])
            #expect(
                try database.partitions()
                    == ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24", "default"])
            #expect(registry.render().contains("partitions_dropped_total{table=\"trade_data_finhub\"} 2\n"))
            #expect(
                registry.render().contains(
                    "default_partition_rows_deleted_total{table=\"trade_data_finhub\"} "
                        + "\(PartitionMaintenance.rowsTrimmedAtOnce + 1)\n"))
        }
    }

    @Test func `without a retention nothing is dropped or deleted`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            try database.execute("SELECT tickstream_make_day('trade_data_finhub', '1980-01-01')")
            try database.store(3, at: "timestamptz '1980-01-01Z'")
            try database.store(2, at: "timestamptz '1970-01-01Z'", firstID: 10)
            var maintenance = PartitionMaintenance.of()
            try maintenance.run(today: today, &connection)
            #expect(try database.rowsByPartition() == ["19800101": "3", "default": "2"])
        }
    }

    @Test func `a partition that somebody reads is dropped later, and writers go on meanwhile`() async throws {
        try await TestDatabase.run { database in
            var connection = try database.connect()
            try database.execute("SELECT tickstream_make_day('trade_data_finhub', '2026-11-01')")
            try database.store(3, at: "timestamptz '2026-11-01Z'")
            var maintenance = PartitionMaintenance.of(keeping: 7)
            var reader = try database.connect()
            try reader.begin()
            _ = try reader.query("SELECT count(*) FROM trade_data_finhub")
            let error = #expect(throws: PostgresError.self) { try maintenance.run(today: today, &connection) }
            #expect(error?.sqlState == "55P03" && error?.isRetriable == true)
            try database.store(1, at: "timestamptz '2026-11-21Z'", firstID: 10)
            try reader.rollback()
            try maintenance.run(today: today, &connection)
            #expect(try database.rowsByPartition() == ["20261121": "1"])
        }
    }

    @Test func `of many who maintain at once, one does each thing and none fails`() async throws {
        let database = try await TestDatabase()
        try database.store(2000, at: "timestamptz '2026-11-21Z'")
        for day in 1...9 {
            try database.execute("SELECT tickstream_make_day('trade_data_finhub', '2026-10-0\(day)')")
        }
        let registry = MetricsRegistry()
        let workers = (0..<8).map { _ in
            Worker {
                var connection = try database.connect()
                var maintenance = PartitionMaintenance.of(keeping: 30, metrics: registry)
                while true {
                    do {
                        try maintenance.run(today: today, &connection)
                        return
                    } catch is AnotherMaintains {}
                }
            }
        }
        for worker in workers { try await onThread { try worker.value() } }
        #expect(try database.partitions() == (14...24).map { "2026-11-\($0)" } + ["default"])
        #expect(try database.rowsByPartition() == ["20261121": "2000"])
        // The registry is one for all: each partition was made once and dropped once.
        #expect(registry.render().contains("partitions_made_total{table=\"trade_data_finhub\"} 11\n"))
        #expect(registry.render().contains("partitions_dropped_total{table=\"trade_data_finhub\"} 9\n"))
    }

    @Test func `who may call the functions needs no other right, and may do nothing else`() async throws {
        try await TestDatabase.run { database in
            let role = "ingest_\(database.url.split(separator: "test_").last!.prefix(8))"
            try database.execute(
                """
                CREATE ROLE \(role); GRANT INSERT ON trade_data_finhub TO \(role);
                GRANT SELECT ON daily_partition TO \(role)
                """)
            defer { try? database.execute("DROP OWNED BY \(role); DROP ROLE \(role)") }
            var connection = try database.connect()
            try connection.execute("SET ROLE \(role)")
            // Objects of the caller's do not come before those of the schema.
            try connection.execute("CREATE TEMPORARY TABLE pg_class (relname text)")
            var maintenance = PartitionMaintenance.of(keeping: 1)
            #expect(throws: PostgresError.self) { try maintenance.run(today: today, &connection) }
            try database.execute(
                """
                GRANT EXECUTE ON FUNCTION tickstream_maintain, tickstream_make_day, tickstream_drop_day,
                    tickstream_default_days, tickstream_trim_default TO \(role)
                """)
            try maintenance.run(today: today, &connection)
            try maintenance.run(today: today + 1, &connection)
            #expect(try database.partitions() == (21...25).map { "2026-11-\($0)" } + ["default"])
            #expect(throws: PostgresError.self) { try connection.execute("DROP TABLE trade_data_finhub_20261121") }
            #expect(throws: PostgresError.self) {
                try connection.execute("SELECT tickstream_drop_day('offset_ledger', '2026-11-21')")
            }
        }
    }

    @Test(arguments: ["30d", "1d", "36500d"])
    func `a retention is a number of days`(_ text: String) {
        #expect(Retention(settingText: text).map { "\($0.days)d" } == text)
    }

    @Test(arguments: ["", "d", "0d", "-1d", "30", "30h", "1.5d", "36501d", "99999999999999999999d"])
    func `what is no number of days is no retention`(_ text: String) {
        #expect(Retention(settingText: text) == nil)
    }
}
