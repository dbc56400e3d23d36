import Postgres
import TradeModel

/// The way of rejected records back into the topic.
///
/// What makes it exact: numbers are given in ascending order, by one run at a time, and are committed before anything is
/// sent; each run sends all that is numbered, in this order. So within a partition the numbers of the source only rise but
/// where something is sent again, as readers expect of a source, also when runs crash or overlap.
struct RejectedRetries: ~Copyable {
    struct Outcome {
        var sent = 0
        var stored = 0
        var kept = 0
    }

    private struct Record {
        let id: Int64
        let place: String
        let isStored: Bool
        let payload: [UInt8]
    }

    /// Records that are in memory at a time: each may have a megabyte.
    private static let chunk = 100

    private var connection: PostgresConnection
    private let sender: RetrySender

    init(_ connection: consuming PostgresConnection, _ sender: RetrySender) {
        self.connection = connection
        self.sender = sender
    }

    /// Sends or stores what is selected.
    /// - Parameter tell: hears of each record that stays, and why.
    mutating func run(_ selection: RejectedSelection, tell: (String) -> Void) throws -> Outcome {
        var outcome = Outcome()
        var last: Int64 = -1
        while true {
            let rows = try connection.query(
                """
                SELECT id, topic, kafka_partition, kafka_offset, reason, payload FROM rejected_trade
                WHERE \(RejectedSelection.condition) AND retry_sequence IS NULL AND id > $3
                ORDER BY id LIMIT \(Self.chunk)
                """, parameters: selection.parameters + [.integer(last)])
            var sendable: [Int64] = []
            for row in 0..<rows.rowCount {
                // Only the payload may be NULL.
                last = rows.int64(row, 0)!
                let topic = rows.string(row, 1)!
                let place = "\(last), \(topic) [\(rows.int64(row, 2)!)] at \(rows.int64(row, 3)!)"
                guard topic == sender.topic else {
                    tell("\(place), stays: only trades are sent again, which are those of topic \(sender.topic)")
                    outcome.kept += 1
                    continue
                }
                let payload = rows.bytes(row, 5) ?? []
                do {
                    let record = try TradeRecord(json: payload.span)
                    if rows.string(row, 4) == RejectionReason.refusedByDatabase.rawValue {
                        try store(record, payload, id: last)
                        outcome.stored += 1
                    } else {
                        sendable.append(last)
                    }
                } catch let reason as RejectionReason {
                    tell("\(place), stays: it is no trade, \(reason.rawValue)")
                    outcome.kept += 1
                } catch let error as PostgresError where error.isDataError {
                    tell("\(place), stays: \(error)")
                    outcome.kept += 1
                }
            }
            if !sendable.isEmpty {
                try number(sendable)
                outcome.sent += try sendNumbered()
            }
            if rows.rowCount < Self.chunk { return outcome }
        }
    }

    /// Sends all records that have a number, in the order of the numbers, and deletes what Kafka has acknowledged.
    /// - Returns: how many that were.
    /// - Throws: `RetryError` when Kafka did not acknowledge all; the rest keeps its numbers.
    mutating func sendNumbered() throws -> Int {
        var sent = 0
        while true {
            let rows = try connection.query(
                """
                SELECT id, retry_sequence, payload FROM rejected_trade
                WHERE retry_sequence IS NOT NULL ORDER BY retry_sequence LIMIT \(Self.chunk)
                """)
            guard rows.rowCount > 0 else { return sent }
            for row in 0..<rows.rowCount {
                let payload = rows.bytes(row, 2) ?? []
                do {
                    try sender.send(payload, sequence: rows.int64(row, 1)!, token: row)
                } catch {
                    throw RetryError.notSent(id: rows.int64(row, 0)!, reason: "\(error)")
                }
            }
            let acknowledged = sender.finish()
            let ids = acknowledged.map { String(rows.int64($0, 0)!) }.joined(separator: ",")
            try connection.execute(
                "DELETE FROM rejected_trade WHERE id = ANY ($1::bigint[])", parameters: [.text("{\(ids)}")])
            sent += acknowledged.count
            guard acknowledged.count == rows.rowCount else { throw RetryError.notAcknowledged }
        }
    }

    /// Gives records their numbers, which are above all that were given before.
    private mutating func number(_ ids: [Int64]) throws(PostgresError) {
        try connection.begin()
        // To the commit, so that whoever sees a number sees all below it.
        try connection.execute("SELECT pg_advisory_xact_lock(hashtext('tickstream.rejected_retry'))")
        try connection.execute(
            """
            UPDATE rejected_trade SET retry_sequence = numbered.sequence
            FROM (SELECT id, nextval('rejected_retry') AS sequence
                FROM (SELECT id FROM rejected_trade
                    WHERE id = ANY ($1::bigint[]) AND retry_sequence IS NULL ORDER BY id) AS wanted) AS numbered
            WHERE rejected_trade.id = numbered.id
            """, parameters: [.text("{\(ids.map(String.init).joined(separator: ","))}")])
        try connection.commit()
    }

    /// Stores a trade in the place of its rejection.
    private mutating func store(_ record: TradeRecord, _ payload: [UInt8], id: Int64) throws(PostgresError) {
        let conditions = payload.withUnsafeBytes {
            record.trade.conditions.isEmpty
                ? nil : String(decoding: record.trade.conditions.bytes(in: $0), as: UTF8.self)
        }
        try connection.execute(
            """
            WITH gone AS (DELETE FROM rejected_trade WHERE id = $1 RETURNING id, kafka_partition, kafka_offset)
            INSERT INTO trade_data_finhub (id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer,
                to_db, kafka_partition, kafka_offset, source, sequence, repeat)
            SELECT id, $2, $3, $4, $5, $6, $7, now(), now(), kafka_partition, kafka_offset, $8, $9, $10 FROM gone
            """,
            parameters: [
                .integer(id), .text("\(record.trade.symbol)"), .text("\(record.trade.price)"),
                .text("\(record.trade.time)"),
                .text("\(record.trade.volume)"), conditions.map { .text($0) } ?? .null, .text("\(record.toKafka)"),
                .text("\(record.source)"), .integer(record.sequence), .integer(Int64(record.repeats)),
            ])
    }
}

/// Why records were not sent again.
enum RetryError: Error, CustomStringConvertible {
    case notSent(id: Int64, reason: String)
    case notAcknowledged

    var description: String {
        switch self {
        case .notSent(let id, let reason):
            "the rejected record \(id) cannot be sent, and those behind it have to wait: \(reason); "
                + "'consumer rejected drop --id \(id)' gives it up"
        case .notAcknowledged:
            "Kafka has not acknowledged all records in time: run the command again, nothing is lost or stored twice"
        }
    }
}
