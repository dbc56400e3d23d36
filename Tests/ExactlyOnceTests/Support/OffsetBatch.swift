import ExactlyOnce
import Kafka
import Postgres
import Synchronization
import TradeModel

/// A small batch that stores the origin of each record in the table `stored`, which forbids no duplicates.
///
/// A record whose value is a name and a number, such as `a 12`, is one that a source has numbered.
final class OffsetBatch: TransactionalBatch {
    /// What a test sees of the batches of its readers, and how it interferes.
    final class Observer: Sendable {
        /// The most records that a batch holds.
        let capacity: Int
        fileprivate let count = Atomic(0)
        /// Called inside the transaction, behind the rows.
        fileprivate let interference = Mutex<(@Sendable (inout PostgresConnection) throws(PostgresError) -> Void)?>(nil)

        /// How many records were taken in so far.
        var gathered: Int { count.load(ordering: .relaxed) }

        init(capacity: Int = 1000) { self.capacity = capacity }

        func interfere(_ body: (@Sendable (inout PostgresConnection) throws(PostgresError) -> Void)?) {
            interference.withLock { $0 = body }
        }
    }

    static let table = """
        CREATE TABLE stored (partition int, record_offset bigint, id bigint, source text, sequence bigint);
        CREATE TABLE refused (partition int, record_offset bigint)
        """

    private let observer: Observer
    private var rows = CopyBuffer()
    private var refused = CopyBuffer()

    init(_ observer: Observer) { self.observer = observer }

    func append(_ record: borrowing KafkaRecord, id: Int64, marks: inout SourceMarks) {
        observer.count.add(1, ordering: .relaxed)
        let words = String(decoding: record.value, as: UTF8.self).split(separator: " ")
        let source = words.count == 2 ? ShortText(String(words[0])) : nil
        let sequence = words.count == 2 ? Int64(words[1]) : nil
        if let source, let sequence, (try? marks.admit(source, sequence, at: record.offset)) == false { return }
        rows.beginRow(columns: 5)
        rows.fields.int4(record.partition)
        rows.fields.int8(record.offset)
        rows.fields.int8(id)
        if let source { source.withBytes { rows.fields.bytes($0) } } else { rows.fields.null() }
        if let sequence { rows.fields.int8(sequence) } else { rows.fields.null() }
        rows.endRow()
    }

    func reject(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason) {
        refused.beginRow(columns: 2)
        refused.fields.int4(record.partition)
        refused.fields.int8(record.offset)
        refused.endRow()
    }

    var isFull: Bool { rows.rowCount >= observer.capacity }

    func write(to connection: inout PostgresConnection) throws(PostgresError) {
        try connection.copyIn("COPY stored FROM STDIN (FORMAT binary)", rows: rows)
        try connection.copyIn("COPY refused FROM STDIN (FORMAT binary)", rows: refused)
        if let interfere = observer.interference.withLock({ $0 }) { try interfere(&connection) }
    }

    func reset() {
        rows.reset()
        refused.reset()
    }
}
