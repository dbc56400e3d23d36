/// One step of the schema's history.
package struct Migration: Sendable {
    /// Its place: 1, 2, 3 …
    package let number: Int
    /// What it is about, for people.
    package let name: String
    /// Its statements, which run in one transaction and so must not begin or end one.
    package let sql: String

    /// A step of the schema's history.
    package init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }
}

/// Why the schema cannot be brought, or is not, where the program needs it.
package enum MigrationError: Error, Sendable, Equatable {
    /// The database holds no schema of this project at all.
    case schemaMissing
    /// The schema is older than what the program needs.
    case schemaOlder(found: Int, required: Int)
    /// The schema is newer than what the program knows.
    case schemaNewer(found: Int, known: Int)
    /// A migration that was applied reads differently now.
    case checksumDiffers(number: Int, name: String)
}

extension MigrationError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .schemaMissing:
            "the database has no schema yet: run `consumer migrate`"
        case .schemaOlder(let found, let required):
            "the schema is at version \(found), older than the \(required) that is needed: run `consumer migrate`"
        case .schemaNewer(let found, let known):
            "the schema is at version \(found), newer than the \(known) that this program knows: update the program"
        case .checksumDiffers(let number, let name):
            "migration \(number) (\(name)) was applied with other contents: its file was changed afterwards; "
                + "restore it and put the change into a new migration"
        }
    }
}
