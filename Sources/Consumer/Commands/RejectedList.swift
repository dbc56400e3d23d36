import ExactlyOnce
import KafkaService
import Postgres
import ServiceKit

extension Program.Command {
    /// `consumer rejected list`
    static let rejectedList = Program.Command(
        "rejected list", "List records that are not what their topic is for, the newest first.",
        details: "What a terminal would act upon is shown as \\u001b and the like, in the payload as everywhere.",
        settings: [RejectedList.topic, RejectedSelection.reason, RejectedList.limit, OutputTable.form],
        ignoring: readingOptions + KafkaOptions.all, run: RejectedList.run)
}

private enum RejectedList {
    static let topic = Setting<String>("topic", help: "Only this topic's.")
    static let limit = Setting<Int>(
        "limit", default: "50", help: "How many at most.", rule: { $0 > 0 ? nil : "must be above 0" })

    /// Characters that are shown of a payload.
    private static let shown = 100

    @Sendable static func run(_ configuration: Configuration, _ logger: Logger) throws {
        let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer rejected")
        try requireSchema(of: database)
        var connection = try PostgresConnection(database)
        // A character has four bytes at most.
        let rows = try connection.query(
            """
            SELECT id, topic, kafka_partition, kafka_offset, reason,
                to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                length(payload), substring(payload FOR \(4 * shown + 4))
            FROM rejected_trade
            WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR reason = $2)
            ORDER BY rejected_at DESC, id DESC LIMIT $3
            """,
            parameters: [
                configuration[optional: topic].map { .text($0) } ?? .null,
                configuration[optional: RejectedSelection.reason].map { .text($0) } ?? .null,
                .integer(Int64(configuration[limit])),
            ])
        var table = OutputTable(columns: [
            "id", "topic", "partition", "offset", "reason", "rejected_at", "bytes", "payload",
        ])
        for row in 0..<rows.rowCount {
            table.rows.append([
                .init(rows.int64(row, 0)), .init(rows.string(row, 1)), .init(rows.int64(row, 2)),
                .init(rows.int64(row, 3)), .init(rows.string(row, 4)), .init(rows.string(row, 5)),
                .init(rows.int64(row, 6)), .init(rows.bytes(row, 7).map(shortened)),
            ])
        }
        table.write(as: configuration[OutputTable.form])
    }

    private static func shortened(_ payload: [UInt8]) -> String {
        let text = String(decoding: payload, as: UTF8.self)
        let start = text.unicodeScalars.prefix(shown)
        return String(start) + (start.endIndex < text.unicodeScalars.endIndex ? "…" : "")
    }
}
