import Postgres
import ServiceKit

/// The settings about PostgreSQL that all programs with tables share.
package enum DatabaseOptions {
    package static let url = Setting<String>(
        "database-url", default: "", isSecret: true,
        help: "PostgreSQL's connection string or postgresql:// URI; without one, libpq's PG* variables count.")

    /// The database that a program is told to use.
    package static func configuration(
        _ configuration: Configuration, applicationName: String
    ) throws -> PostgresConfiguration {
        try PostgresConfiguration(configuration[url], applicationName: applicationName)
    }
}
