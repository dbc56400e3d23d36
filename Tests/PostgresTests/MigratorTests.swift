import Foundation
import Postgres
import TestSupport
import Testing

@Suite struct `The migrator` {
    static let migrations = [
        Migration(number: 1, name: "trades", sql: "CREATE TABLE trade (id int); CREATE INDEX ON trade (id);"),
        Migration(number: 2, name: "symbols", sql: "ALTER TABLE trade ADD COLUMN symbol text DEFAULT 'é'"),
        Migration(number: 3, name: "first row", sql: "INSERT INTO trade VALUES (1)"),
    ]

    /// Runs `body` with the options of a schema of its own.
    func withSchema(_ body: (String) throws -> Void) throws {
        let schema = "s_" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
        var connection = try connect()
        try connection.execute("CREATE SCHEMA \(schema)")
        defer { #expect(throws: Never.self) { try connection.execute("DROP SCHEMA \(schema) CASCADE") } }
        try body("options='-c search_path=\(schema)'")
    }

    func migrationError(_ body: () throws -> Void) throws -> MigrationError {
        do {
            try body()
        } catch let error as MigrationError {
            return error
        }
        throw TestFailure("no error was thrown")
    }

    @Test func `applies what is missing, once`() throws {
        try withSchema { options in
            var connection = try connect(options)
            #expect(try Migrator([]).currentVersion(&connection) == nil)
            #expect(try Migrator(Array(Self.migrations.prefix(1))).migrate(&connection) == [1])
            let migrator = Migrator(Self.migrations)
            #expect(try migrator.migrate(&connection) == [2, 3])
            #expect(try migrator.migrate(&connection) == [])
            #expect(try migrator.currentVersion(&connection) == 3)
            #expect(try connection.query("SELECT count(*) FROM trade").int64(0, 0) == 1)
            #expect(
                try connection.query("SELECT string_agg(name, ',' ORDER BY number) FROM schema_migration").string(0, 0)
                    == "trades,symbols,first row")
        }
    }

    @Test func `may run eight times at once`() throws {
        try withSchema { options in
            let workers = (0..<8).map { _ in
                Worker {
                    var connection = try connect(options)
                    return try Migrator(Self.migrations).migrate(&connection)
                }
            }
            let applied = try workers.flatMap { try $0.value() }
            #expect(applied.sorted() == [1, 2, 3])
            var connection = try connect(options)
            #expect(try connection.query("SELECT count(*) FROM trade").int64(0, 0) == 1)
        }
    }

    @Test func `refuses a migration that was changed after it was applied`() throws {
        try withSchema { options in
            var connection = try connect(options)
            _ = try Migrator(Self.migrations).migrate(&connection)
            var changed = Self.migrations
            changed[1] = Migration(number: 2, name: "symbols", sql: changed[1].sql + " ")
            let error = try migrationError { _ = try Migrator(changed).migrate(&connection) }
            #expect(error == .checksumDiffers(number: 2, name: "symbols"))
            #expect(error.description.contains("migration 2 (symbols)"))
            #expect(connection.transactionStatus == .idle)
        }
    }

    @Test func `keeps what came before a migration that fails`() throws {
        try withSchema { options in
            var connection = try connect(options)
            let broken = Migration(number: 2, name: "broken", sql: "CREATE TABLE half (); SELECT 1/0")
            let error = try failure { _ = try Migrator([Self.migrations[0], broken]).migrate(&connection) }
            #expect(error.sqlState == "22012")
            #expect(try Migrator([]).currentVersion(&connection) == 1)
            #expect(try connection.query("SELECT to_regclass('half') IS NULL").bool(0, 0) == true)
            #expect(try Migrator(Self.migrations).migrate(&connection) == [2, 3])
        }
    }

    @Test func `tells missing, older and newer schemas apart`() throws {
        try withSchema { options in
            var connection = try connect(options)
            let old = Migrator(Array(Self.migrations.prefix(2)))
            let new = Migrator(Self.migrations)
            #expect(try migrationError { try new.requireVersion(&connection) } == .schemaMissing)
            _ = try old.migrate(&connection)
            try old.requireVersion(&connection)
            let older = try migrationError { try new.requireVersion(&connection) }
            #expect(older == .schemaOlder(found: 2, required: 3))
            #expect(older.description.contains("consumer migrate"))
            _ = try new.migrate(&connection)
            let newer = try migrationError { try old.requireVersion(&connection) }
            #expect(newer == .schemaNewer(found: 3, known: 2))
            #expect(newer.description.contains("update the program"))
            #expect(try migrationError { _ = try old.migrate(&connection) } == newer)
        }
    }
}
