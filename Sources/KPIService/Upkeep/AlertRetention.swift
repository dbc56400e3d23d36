import ExactlyOnce
import Postgres
import ServiceKit

/// Deletes closed alerts whose time is over, and their changes with them; what is open or acknowledged stays.
struct AlertRetention: Sendable {
    /// Alerts that one transaction deletes at most.
    static let rowsAtOnce = 5000

    private let retention: Retention
    private let isPublishing: Bool
    private let deleted: Counter

    /// - Parameter isPublishing: whether changes go to a topic: then an alert stays until all of its own are there.
    init(_ retention: Retention, isPublishing: Bool, metrics: MetricsRegistry) {
        (self.retention, self.isPublishing) = (retention, isPublishing)
        deleted = metrics.counter("alerts_deleted_total", "Closed alerts deleted since their time was over")
    }

    /// Deletes the next alerts; none where another instance is at it.
    /// - Parameter today: in days since 1970-01-01, UTC.
    /// - Returns: whether there may be more.
    func run(
        today: Int, _ connection: inout PostgresConnection, atMost limit: Int = rowsAtOnce
    ) throws(PostgresError) -> Bool {
        let count = try connection.deleteAlone(
            "SELECT delete_closed_alerts(date '1970-01-01' + $1::int, $2::int, \(isPublishing))",
            before: today - retention.days, atMost: limit)
        deleted.increment(by: Int64(count))
        return count == limit
    }
}
