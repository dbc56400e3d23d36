/// Brings a schema to the version that the programs were built for, and tells at which version it is.
///
/// What was applied is recorded in the table `schema_migration`, in the first schema of the search path. Errors are
/// `PostgresError` and `MigrationError`.
package struct Migrator: Sendable {
    /// The advisory lock under which one migrator works at a time; any number, the same for all.
    private static let lock: Int64 = 0x7469_636B_7374_726D

    private let migrations: [Migration]

    /// Knows the given migrations, which must be numbered 1, 2, 3 …
    package init(_ migrations: [Migration]) {
        precondition(
            migrations.map(\.number) == Array(1..<(migrations.count + 1)), "migrations must be numbered 1, 2, 3 …")
        self.migrations = migrations
    }

    /// Applies what is missing, each migration in a transaction of its own, and returns the numbers of those.
    ///
    /// Safe to repeat, and to run by several at once. After an error the migrations before the failed one stay applied.
    package func migrate(_ connection: inout PostgresConnection) throws -> [Int] {
        _ = try locked(&connection) { connection in
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_migration (
                    number integer PRIMARY KEY,
                    name text NOT NULL,
                    checksum text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT now())
                """)
        }
        if let found = try currentVersion(&connection), found > migrations.count {
            throw MigrationError.schemaNewer(found: found, known: migrations.count)
        }
        return try migrations.filter { migration in
            try locked(&connection) { connection in try Self.apply(migration, &connection) }
        }.map(\.number)
    }

    /// The number of the last migration applied; `nil` when the database holds no schema of this project.
    package func currentVersion(_ connection: inout PostgresConnection) throws(PostgresError) -> Int? {
        let table = try connection.query("SELECT to_regclass('schema_migration') IS NOT NULL")
        guard table.bool(0, 0) == true else { return nil }
        return try connection.query("SELECT max(number) FROM schema_migration").int64(0, 0).map { Int($0) }
    }

    /// Throws a `MigrationError` unless the schema is at exactly the version that this program knows.
    package func requireVersion(_ connection: inout PostgresConnection) throws {
        guard let found = try currentVersion(&connection) else { throw MigrationError.schemaMissing }
        if found < migrations.count { throw MigrationError.schemaOlder(found: found, required: migrations.count) }
        if found > migrations.count { throw MigrationError.schemaNewer(found: found, known: migrations.count) }
    }

    /// Applies and records a migration, unless it is recorded; returns whether it did.
    private static func apply(_ migration: Migration, _ connection: inout PostgresConnection) throws -> Bool {
        let number = PostgresParameter.integer(Int64(migration.number))
        let checksum = "encode(sha256(convert_to($2, 'UTF8')), 'hex')"
        let recorded = try connection.query(
            "SELECT checksum = \(checksum) FROM schema_migration WHERE number = $1",
            parameters: [number, .text(migration.sql)])
        if recorded.rowCount == 1 {
            guard recorded.bool(0, 0) == true else {
                throw MigrationError.checksumDiffers(number: migration.number, name: migration.name)
            }
            return false
        }
        try connection.execute(migration.sql)
        try connection.execute(
            "INSERT INTO schema_migration (number, checksum, name) VALUES ($1, \(checksum), $3)",
            parameters: [number, .text(migration.sql), .text(migration.name)])
        return true
    }

    /// Does something in a transaction that has the lock, and sees what those did who had it before.
    private func locked<Result>(
        _ connection: inout PostgresConnection, _ body: (inout PostgresConnection) throws -> Result
    ) throws -> Result {
        try connection.begin(.readCommitted)
        do {
            try connection.execute("SELECT pg_advisory_xact_lock(\(Self.lock))")
            let result = try body(&connection)
            try connection.commit()
            return result
        } catch {
            try? connection.rollback()
            throw error
        }
    }
}
