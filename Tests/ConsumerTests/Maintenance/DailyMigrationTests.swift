import DatabaseTestSupport
import Foundation
import Migrations
import Postgres
import TestSupport
import Testing

@testable import Consumer

/// The step from one table to a partition a day, with what was stored before.
@Suite(.timeLimit(.minutes(10))) struct DailyMigrationTests {
    /// The schema's first steps, from its files.
    private static func migrations(upTo last: Int) throws -> [Migration] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../deploy/postgres")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".sql") }.sorted()
        return try files.prefix(last).enumerated().map { index, file in
            Migration(
                number: index + 1, name: file,
                sql: try String(contentsOf: folder.appending(path: file), encoding: .utf8))
        }
    }

    @Test func `rows that were stored before are all there, those of full days in partitions`() async throws {
        let database = try await TestDatabase(migrated: false)
        try await onThread {
            var connection = try database.connect()
            _ = try Migrator(Self.migrations(upTo: 7)).migrate(&connection)
            try connection.execute(
                """
                INSERT INTO trade_data_finhub
                SELECT n, 'S' || n % 7, n + 0.50, timestamptz '2026-11-20 12:00Z' + n * interval '4 s', n / 3.0,
                       CASE WHEN n % 2 = 0 THEN '["1"]' END, now(), now(), now(), n % 5, n, 'tests', n, n % 2
                FROM generate_series(1, 22000) AS n
                """)
            let rows = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM trade_data_finhub AS t"
            let views = [
                "SELECT * FROM stockevents ORDER BY ts", #"SELECT * FROM "time" ORDER BY id"#,
                "SELECT * FROM median_process_time_table",
            ]
            let before = try ([rows] + views).map { try database.rows($0) }
            let columns = """
                SELECT table_name, column_name, ordinal_position, data_type, is_nullable FROM information_schema.columns
                WHERE table_name IN ('trade_data_finhub', 'stockevents', 'time', 'median_process_time_table') ORDER BY 1, 3
                """
            let columnsBefore = try database.rows(columns)

            #expect(try Migrator(Self.migrations(upTo: 8)).migrate(&connection) == [8])
            #expect(try ([rows] + views).map { try database.rows($0) } == before)
            #expect(try database.rows(columns) == columnsBefore)
            // From noon on 10,799 trades; all of the next day's 11,201.
            #expect(try database.rowsByPartition() == ["20261120": "10799", "20261121": "11201"])
        }
    }

    @Test func `the checks and the key are kept in every partition`() async throws {
        let database = try await TestDatabase()
        try database.execute("SELECT tickstream_make_day('trade_data_finhub', '2026-11-21')")
        let row = "1, 'A', 1, '2026-11-21 12:00Z', 1, NULL, now(), now(), now(), 0, 0, 'tests', 0, 0"
        try database.execute("INSERT INTO trade_data_finhub VALUES (\(row))")
        for (wrong, state) in [
            (row, "23505"), (row.replacing("'A', 1", with: "'A', 0"), "23514"),
            (row.replacing("'A', 1", with: "'A', 'NaN'"), "23514"), (row.replacing("'A'", with: "''"), "23514"),
            (row.replacing("12:00Z', 1", with: "12:00Z', -1"), "23514"),
            (row.replacing("1, 'A'", with: "NULL, 'A'"), "23502"),
            (row.replacing("2026-11-21 12:00Z", with: "1969-12-31"), "23514"),
            (row.replacing("now()", with: "'infinity'"), "23514"),
        ] {
            let error = #expect(throws: PostgresError.self) {
                try database.execute("INSERT INTO trade_data_finhub VALUES (\(wrong))")
            }
            #expect(error?.sqlState == state, "\(wrong)")
        }
    }
}
