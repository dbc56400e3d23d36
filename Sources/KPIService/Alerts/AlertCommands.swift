import ExactlyOnce
import KafkaService
import Postgres
import ServiceKit

extension Program.Command {
    /// `kpi-service alerts list`
    static func alertsList(ignoring ignored: [any AnySetting]) -> Program.Command {
        Program.Command(
            "alerts list", "List alerts, the newest first: those that are not closed, unless told otherwise.",
            settings: [AlertCommands.state, AlertCommands.limit, OutputTable.form], ignoring: ignored,
            run: AlertCommands.list)
    }

    /// `kpi-service alerts acknowledge`
    static func alertsAcknowledge(ignoring ignored: [any AnySetting]) -> Program.Command {
        Program.Command(
            "alerts acknowledge",
            "Say that somebody looks after an alert. It closes by itself when its condition is over.",
            settings: [AlertCommands.id, AlertCommands.by], ignoring: ignored,
            run: { configuration, _ in try AlertCommands.change(configuration, to: .acknowledged) })
    }

    /// `kpi-service alerts close`
    static func alertsClose(ignoring ignored: [any AnySetting]) -> Program.Command {
        Program.Command(
            "alerts close", "Close an alert although its condition may last.",
            details: "No other one opens for its rule and symbol until its condition was over once.",
            settings: [AlertCommands.id, AlertCommands.by], ignoring: ignored,
            run: { configuration, _ in try AlertCommands.change(configuration, to: .closed) })
    }
}

enum AlertCommands {
    static let id = Setting<Int>("id", isRequired: true, help: "The alert's number, as 'alerts list' shows it.")
    static let by = Setting<String>(
        "by", help: "Who you are; the database's user unless given.",
        rule: { 1...200 ~= $0.count ? nil : "must have 1 to 200 characters" })
    static let limit = Setting<Int>(
        "limit", default: "50", help: "How many at most.", rule: { $0 > 0 ? nil : "must be above 0" })

    enum Choice: String, CaseIterable, SettingValue {
        case active, open, acknowledged, closed, all
        static var typeName: String { allCases.map(\.rawValue).joined(separator: ", ") }
        init?(settingText text: String) { self.init(rawValue: text) }
    }

    static let state = Setting<Choice>(
        "state", default: "active", help: "Which ones; active are those that are not closed.")

    @Sendable static func list(_ configuration: Configuration, _ logger: Logger) throws {
        var connection = try connect(configuration)
        let rows = try connection.query(
            """
            SELECT id, state, severity, rule, symbol, value, limit_value, closes_at, \(time("since")),
                \(time("opened_at")), acknowledged_by, \(time("closed_at")), closed_by
            FROM alert
            WHERE $1 = 'all' OR state = $1 OR ($1 = 'active' AND state <> 'closed')
            ORDER BY opened_at DESC, id DESC LIMIT $2
            """,
            parameters: [.text(configuration[state].rawValue), .integer(Int64(configuration[limit]))])
        var table = OutputTable(columns: [
            "id", "state", "severity", "rule", "symbol", "value", "limit", "closes_at", "since", "opened_at",
            "acknowledged_by", "closed_at", "closed_by",
        ])
        for row in 0..<rows.rowCount {
            table.rows.append([.init(rows.int64(row, 0))] + (1..<13).map { .init(rows.string(row, $0)) })
        }
        table.write(as: configuration[OutputTable.form])
    }

    /// What a person can do with an alert.
    enum Change: String {
        case acknowledged, closed
    }

    static func change(_ configuration: Configuration, to change: Change) throws {
        var connection = try connect(configuration)
        let id = Int64(configuration[id])
        try apply(change, id: id, by: configuration[optional: by], &connection)
        print("alert \(id) is \(change.rawValue)")
    }

    /// Changes an alert in a transaction, between two evaluations.
    static func apply(
        _ change: Change, id: Int64, by person: String?, _ connection: inout PostgresConnection
    ) throws {
        try connection.begin(
            limits: TransactionLimits(statement: .seconds(30), lock: .seconds(30), idle: .seconds(30)))
        try connection.execute("SELECT FROM alert_evaluation FOR UPDATE")
        let rows = try connection.query("SELECT state FROM alert WHERE id = $1", parameters: [.integer(id)])
        guard let state = rows.string(0, 0) else { throw AlertCommandError.unknown(id) }
        guard state == "open" || (state == "acknowledged" && change == .closed) else {
            throw AlertCommandError.already(id, state)
        }
        try connection.execute(
            change == .acknowledged ? acknowledge : close,
            parameters: [.integer(id), person.map { .text($0) } ?? .null])
        try connection.commit()
    }

    private static let acknowledge = """
        WITH changed AS (
            UPDATE alert SET state = 'acknowledged', acknowledged_at = now(), acknowledged_by = coalesce($2, session_user)
            WHERE id = $1 RETURNING id, acknowledged_at, acknowledged_by
        )
        INSERT INTO alert_transition (alert_id, state, at, by)
        SELECT id, 'acknowledged', acknowledged_at, acknowledged_by FROM changed
        """

    private static let close = """
        WITH changed AS (
            UPDATE alert SET state = 'closed', closed_at = now(), closed_by = coalesce($2, session_user)
            WHERE id = $1 RETURNING id, rule_id, symbol, closed_at, closed_by
        ), dismissed AS (
            INSERT INTO alert_pending (rule_id, symbol, since)
            SELECT rule_id, coalesce(symbol, ''), NULL FROM changed WHERE rule_id IN (SELECT id FROM threshold)
        )
        INSERT INTO alert_transition (alert_id, state, at, by) SELECT id, 'closed', closed_at, closed_by FROM changed
        """

    private static func connect(_ configuration: Configuration) throws -> PostgresConnection {
        let database = try DatabaseOptions.configuration(configuration, applicationName: "kpi-service alerts")
        try requireSchema(of: database)
        return try PostgresConnection(database)
    }

    private static func time(_ column: String) -> String {
        #"to_char(\#(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#
    }
}

/// Why an alert was not changed.
enum AlertCommandError: Error, CustomStringConvertible {
    case unknown(Int64)
    case already(Int64, String)

    var description: String {
        switch self {
        case .unknown(let id):
            "there is no alert \(id): 'kpi-service alerts list --state all' lists those that there are"
        case .already(let id, let state): "alert \(id) is \(state) already; nothing was changed"
        }
    }
}
