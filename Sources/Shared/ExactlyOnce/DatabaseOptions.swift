import Postgres
import ServiceKit

/// The settings about PostgreSQL that all programs with tables share.
package enum DatabaseOptions {
    package static let url = Setting<String>(
        "database-url", default: "", isSecret: true,
        help: "PostgreSQL's connection string or postgresql:// URI; without one, libpq's PG* variables count.")

    /// The database that a program is told to use.
    /// - Throws: `ConfigurationError` when the connection string is none; nothing of it is shown.
    package static func configuration(
        _ configuration: Configuration, applicationName: String
    ) throws -> PostgresConfiguration {
        do {
            return try PostgresConfiguration(configuration[url], applicationName: applicationName)
        } catch {
            throw ConfigurationError("--\(url.name)-file or \(url.environment): \(error)")
        }
    }
}
