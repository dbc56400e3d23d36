import Kafka
import Postgres
import TradeModel

/// What a reader gathers from the topic and stores in one transaction.
///
/// Two batches take turns: the reading thread fills one while the writing thread stores the other. A batch is touched by
/// one thread at a time, so it needs no lock. It keeps its memory when it is emptied.
package protocol TransactionalBatch: AnyObject, SendableMetatype {
    /// Takes in one record. It must not fail: what cannot be stored is part of the batch as a rejection.
    /// - Parameters:
    ///   - id: the row id of the record's origin.
    ///   - marks: those of the record's partition; what they do not admit has been stored before, and is left out.
    func append(_ record: borrowing KafkaRecord, id: Int64, marks: inout SourceMarks)

    /// Takes in one record that must not be stored as what it is, because the database refuses it.
    func reject(_ record: borrowing KafkaRecord, id: Int64, _ reason: RejectionReason)

    /// Whether there is room for more.
    var isFull: Bool { get }

    /// Stores everything inside the open transaction.
    func write(to connection: inout PostgresConnection) throws(PostgresError)

    /// The same as an expression for one statement, with its parameters `$1`, `$2` …: for a batch so small that round trips
    /// would be most of its time. nil where it is to be written.
    func call() throws(PostgresError) -> (expression: String, parameters: [PostgresParameter])?

    /// Forgets everything, and keeps the memory.
    func reset()
}

extension TransactionalBatch {
    package func call() throws(PostgresError) -> (expression: String, parameters: [PostgresParameter])? { nil }
}
