import ExactlyOnce
import Kafka
import Postgres
import ServiceKit
import TradeModel

/// Trades on their way into `trade_data_finhub`, and records that are none on their way into `rejected_trade`.
///
/// Records are parsed and encoded straight into COPY's binary form as they come in; nothing is kept of them besides.
final class TradeBatch: TransactionalBatch {
    /// Rows that one transaction stores at most: beyond this, COPY gains no speed.
    static let maximumRows = 20_000
    /// And bytes, for records with long conditions.
    static let maximumBytes = 16 << 20

    /// Trades that one statement stores at most: with more, COPY makes up for its round trips.
    static let maximumInOneStatement = 50

    private var trades = CopyBuffer(capacity: 1 << 20)
    private let columns = columnTypes.map { BinaryArray(of: $0) }
    private var rejected = RejectedRecords()
    private var ingested = IngestBatches()
    private let metrics: ConsumerMetrics

    init(metrics: ConsumerMetrics) {
        self.metrics = metrics
    }

    var isFull: Bool {
        trades.rowCount + rejected.rowCount >= Self.maximumRows
            || trades.byteCount + rejected.byteCount >= Self.maximumBytes
    }

    func append(_ record: borrowing KafkaRecord, id: Int64, marks: inout SourceMarks) {
        let bytes = record.value
        do throws(RejectionReason) {
            let parsed = try TradeRecord(json: bytes.bindMemory(to: UInt8.self).span)
            guard try marks.admit(parsed.source, parsed.sequence, at: record.offset) else {
                ingested.note(.resent, id: id, offset: record.offset)
                return
            }
            let moments = IngestBatches.Moments(trade: parsed.trade.time, toKafka: parsed.toKafka, toConsumer: .now())
            try trades.append(parsed, conditionsFrom: bytes, toConsumer: moments.toConsumer, record, id: id)
            ingested.note(
                parsed.source == TradeRecord.retrySource ? .retried : .stored(moments), id: id, offset: record.offset)
        } catch {
            ingested.note(.rejected, id: id, offset: record.offset)
            rejected.append(record, id: id, error)
            metrics.rejected(error)
        }
    }

    func reject(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason) {
        rejected.append(record, id: id, reason)
        ingested.note(.rejected, id: id, offset: record.offset)
        metrics.rejected(reason)
    }

    func write(to connection: inout PostgresConnection) throws(PostgresError) {
        let toDB = Timestamp.now()
        if let call = ingested.call(toDB: toDB) { connection.executeWithNextStatement("SELECT \(call)") }
        if trades.rowCount > 0 {
            try trades.stamp(microsecondsSince1970: toDB.microseconds)
            try connection.copyIn(Self.copyTrades, rows: trades)
        }
        try rejected.write(to: &connection)
    }

    func call() throws(PostgresError) -> (expression: String, parameters: [PostgresParameter])? {
        guard 1...Self.maximumInOneStatement ~= trades.rowCount, rejected.rowCount == 0 else { return nil }
        let toDB = Timestamp.now()
        guard let ingest = ingested.call(toDB: toDB) else { return nil }
        try trades.stamp(microsecondsSince1970: toDB.microseconds)
        for column in columns { column.reset() }
        trades.append(to: columns)
        return ("\(Self.storeTrades), \(ingest)", columns.map { .array($0) })
    }

    func reset() {
        trades.reset()
        rejected.reset()
        ingested.reset()
    }

    private static let copyTrades = """
        COPY trade_data_finhub (id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer, to_db,
            kafka_partition, kafka_offset, source, sequence, repeat) FROM STDIN (FORMAT binary)
        """
    /// Of the columns of `copyTrades`, and the parameters of `store_trades`.
    private static let columnTypes: [BinaryArray.Element] = [
        .int8, .text, .numeric, .timestamptz, .numeric, .text, .timestamptz, .timestamptz, .timestamptz, .int4, .int8,
        .text, .int8, .int4,
    ]
    private static let storeTrades =
        "store_trades(\(columnTypes.indices.map { "$\($0 + 1)" }.joined(separator: ", ")))"
}

extension CopyBuffer {
    /// Appends a trade's row, or nothing when the database could not hold it.
    ///
    /// On the buffer itself, so that the batch is accessed once a row instead of once a field.
    fileprivate mutating func append(
        _ parsed: borrowing TradeRecord, conditionsFrom bytes: UnsafeRawBufferPointer, toConsumer: Timestamp,
        _ record: borrowing KafkaRecord, id: Int64
    ) throws(RejectionReason) {
        beginRow(columns: 14)
        do throws(PostgresError) {
            fields.int8(id)
            parsed.trade.symbol.withBytes { fields.bytes($0) }
            try fields.numeric(parsed.trade.price)
            try fields.timestamptz(parsed.trade.time)
            try fields.numeric(parsed.trade.volume)
            if parsed.trade.conditions.isEmpty {
                fields.null()
            } else {
                fields.bytes(parsed.trade.conditions.bytes(in: bytes))
            }
            try fields.timestamptz(parsed.toKafka)
            try fields.timestamptz(toConsumer)
            stampedTimestamptz()
            fields.int4(record.partition)
            fields.int8(record.offset)
            parsed.source.withBytes { fields.bytes($0) }
            fields.int8(parsed.sequence)
            fields.int4(parsed.repeats)
        } catch {
            discardRow()
            throw .refusedByDatabase
        }
        endRow()
    }
}
