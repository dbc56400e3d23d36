import DatabaseTestSupport
import Postgres
import TestSupport

extension TestDatabase {
    /// The same database, for readers: whose sessions are told by their name.
    var readers: PostgresConfiguration { try! PostgresConfiguration(url, applicationName: "reader") }

    /// The sessions of this database that wait for a lock, as a condition on `pg_stat_activity`.
    static let waitForLock = "datname = current_database() AND wait_event_type = 'Lock'"

    /// Waits until as many sessions of this database wait for a lock.
    func awaitLockWaiters(_ count: Int) throws {
        try eventually("\(count) sessions wait for a lock") {
            try value("SELECT count(*) FROM pg_stat_activity WHERE \(Self.waitForLock)") == "\(count)"
        }
    }
}
