import ExactlyOnce
import Postgres
import ServiceKit

/// Where changes of alerts are sent.
protocol AlertChannel: AnyObject {
    /// Sees to it that sending can begin; blocks.
    func prepare() throws

    /// Sends records in order, and waits until they are acknowledged, though not for ever.
    /// - Returns: how many of the first are; what is behind them may have arrived as well.
    func send(_ records: [AlertRecord], until shutdown: ShutdownSignal) throws -> Int
}

/// A change of an alert as the topic has it.
struct AlertRecord: Equatable {
    /// The rule and the symbol, whose changes so stay in order.
    let key: String
    let value: String
}

/// Publishes the changes of alerts from their table, in the order of their numbers: each is marked after it was
/// acknowledged, so that none is lost, and one may be sent again after a crash.
final class AlertOutbox: PeriodicWork {
    /// Records that are in memory at a time.
    static let chunk = 100

    private static let limits = TransactionLimits(
        statement: .seconds(10), lock: .seconds(5), idle: .seconds(30))

    private let channel: any AlertChannel
    private let metrics: AlertMetrics

    init(_ channel: any AlertChannel, _ metrics: AlertMetrics) {
        self.channel = channel
        self.metrics = metrics
    }

    @discardableResult
    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Duration? {
        while !shutdown.isRequested, try isAnyLeft(&connection) {
            // Before the transaction: an outage of Kafka holds none open.
            try channel.prepare()
            guard try publish(&connection, until: shutdown) else { break }
        }
        return nil
    }

    private func isAnyLeft(_ connection: inout PostgresConnection) throws(PostgresError) -> Bool {
        try connection.query("SELECT EXISTS (SELECT FROM alert_transition WHERE published_at IS NULL)").bool(0, 0)!
    }

    /// Publishes the next changes.
    /// - Returns: false when another member is publishing.
    /// - Throws: also when not all were acknowledged; those that were are marked.
    private func publish(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Bool {
        try connection.begin(limits: Self.limits)
        guard try connection.query("SELECT pg_try_advisory_xact_lock(hashtext('tickstream.alerts'))").bool(0, 0)! else {
            try connection.rollback()
            return false
        }
        let rows = try connection.query(Self.select)
        let records = (0..<rows.rowCount).map { row in
            AlertRecord(key: rows.string(row, 1)!, value: rows.string(row, 2)!)
        }
        let sent = try channel.send(records, until: shutdown)
        PeriodicFailpoint.afterPublishing.reach(sent, &connection)
        let numbers = (0..<sent).map { rows.string($0, 0)! }.joined(separator: ",")
        try connection.execute(
            "UPDATE alert_transition SET published_at = now() WHERE sequence = ANY ($1::bigint[])",
            parameters: [.text("{\(numbers)}")])
        try connection.commit()
        PeriodicFailpoint.afterMarking.reach(sent, &connection)
        metrics.published.increment(by: Int64(sent))
        guard sent == records.count else { throw AlertsNotAcknowledged(count: records.count - sent) }
        return true
    }

    private static func time(_ column: String) -> String {
        #"to_char(\#(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#
    }

    private static let select = """
        SELECT seq, rule || coalesce(':' || symbol, ''), row_to_json(record)::text FROM (
            SELECT change.sequence AS seq, alert.id, change.state, \(time("change.at")) AS at, alert.rule_id AS rule,
                alert.rule AS name, alert.kind, alert.severity, alert.symbol, change.value,
                alert.limit_value AS "limit", alert.closes_at, \(time("alert.since")) AS since, change.by
            FROM alert_transition AS change JOIN alert ON alert.id = change.alert_id
            WHERE published_at IS NULL ORDER BY change.sequence LIMIT \(chunk)) AS record
        """
}

/// Kafka has not acknowledged changes of alerts in time.
struct AlertsNotAcknowledged: Error, CustomStringConvertible {
    let count: Int

    var description: String { "Kafka has not acknowledged \(count) changes of alerts yet; they are sent again" }
}
