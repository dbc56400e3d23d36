import ExactlyOnce
import Kafka
import Postgres
import TradeModel

/// The feed's events on their way into `feed_event`, and records that are none on their way into `rejected_trade`.
final class FeedEventBatch: TransactionalBatch {
    /// Rows that one transaction stores at most.
    static let maximumRows = 1000

    private var events = CopyBuffer()
    private var rejected = RejectedRecords()
    private var details = ByteWriter()
    private let metrics: ConsumerMetrics

    init(metrics: ConsumerMetrics) {
        self.metrics = metrics
    }

    var isFull: Bool { events.rowCount + rejected.rowCount >= Self.maximumRows }

    func append(_ record: borrowing KafkaRecord, id: Int64, marks: inout SourceMarks) {
        do throws(RejectionReason) {
            let event = try FeedEvent(json: record.value.bindMemory(to: UInt8.self).span)
            guard try marks.admit(event.source, event.sequence, at: record.offset) else { return }
            details.clear()
            if !event.details.isEmpty { details.write(event.details) }
            try events.append(event, details: details, record, id: id)
        } catch {
            rejected.append(record, id: id, error)
            metrics.rejected(error)
        }
    }

    func reject(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason) {
        rejected.append(record, id: id, reason)
        metrics.rejected(reason)
    }

    func write(to connection: inout PostgresConnection) throws(PostgresError) {
        if events.rowCount > 0 { try connection.copyIn(Self.copyEvents, rows: events) }
        try rejected.write(to: &connection)
    }

    func reset() {
        events.reset()
        rejected.reset()
    }

    private static let copyEvents = """
        COPY feed_event (id, at, source, sequence, kind, symbol, cause, close_code, http_status, connected_ms, gap_from,
            gap_to, frames, received, rejected, enqueued, acknowledged, details, kafka_partition, kafka_offset)
            FROM STDIN (FORMAT binary)
        """
}

extension CopyBuffer {
    /// Appends an event's row, or nothing when the database could not hold it.
    fileprivate mutating func append(
        _ event: FeedEvent, details: borrowing ByteWriter, _ record: borrowing KafkaRecord, id: Int64
    ) throws(RejectionReason) {
        beginRow(columns: 20)
        do throws(PostgresError) {
            fields.int8(id)
            try fields.timestamptz(event.at)
            event.source.withBytes { fields.bytes($0) }
            fields.int8(event.sequence)
            fields.text(event.kind.rawValue)
            if let symbol = event.symbol { symbol.withBytes { fields.bytes($0) } } else { fields.null() }
            if let cause = event.cause { fields.text(cause) } else { fields.null() }
            fields.optionalInt4(event.closeCode)
            fields.optionalInt4(event.httpStatus)
            fields.optionalInt8(event.connectedMilliseconds)
            try fields.optionalTimestamptz(event.gapFrom)
            try fields.optionalTimestamptz(event.gapTo)
            fields.optionalInt8(event.counts?.frames)
            fields.optionalInt8(event.counts?.received)
            fields.optionalInt8(event.counts?.rejected)
            fields.optionalInt8(event.counts?.enqueued)
            fields.optionalInt8(event.counts?.acknowledged)
            if details.count > 0 { details.withBytes { fields.jsonb($0) } } else { fields.null() }
            fields.int4(record.partition)
            fields.int8(record.offset)
        } catch {
            discardRow()
            throw .refusedByDatabase
        }
        endRow()
    }
}

extension FieldBuffer {
    fileprivate mutating func optionalInt4(_ value: Int32?) {
        if let value { int4(value) } else { null() }
    }

    fileprivate mutating func optionalInt8(_ value: Int64?) {
        if let value { int8(value) } else { null() }
    }

    fileprivate mutating func optionalTimestamptz(_ time: Timestamp?) throws(PostgresError) {
        if let time { try timestamptz(time) } else { null() }
    }
}
