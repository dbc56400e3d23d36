import Kafka
import Postgres
import ServiceKit
import TradeModel

/// Records that are not what their topic is for, on their way into `rejected_trade`.
struct RejectedRecords: ~Copyable {
    private var rows = CopyBuffer(capacity: 1 << 12)

    var rowCount: Int { rows.rowCount }
    var byteCount: Int { rows.byteCount }

    mutating func append(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason) {
        rows.beginRow(columns: 7)
        rows.fields.int8(id)
        rows.fields.text(record.topic)
        rows.fields.int4(record.partition)
        rows.fields.int8(record.offset)
        rows.fields.text(reason.rawValue)
        if record.value.baseAddress == nil { rows.fields.null() } else { rows.fields.bytes(record.value) }
        rows.stampedTimestamptz()
        rows.endRow()
    }

    mutating func write(to connection: inout PostgresConnection) throws(PostgresError) {
        guard rows.rowCount > 0 else { return }
        try rows.stamp(microsecondsSince1970: Timestamp.now().microseconds)
        try connection.copyIn(Self.copy, rows: rows)
    }

    mutating func reset() {
        rows.reset()
    }

    private static let copy = """
        COPY rejected_trade (id, topic, kafka_partition, kafka_offset, reason, payload, rejected_at)
            FROM STDIN (FORMAT binary)
        """
}
