/// How long parts of a transaction may take before the server ends them, in whole milliseconds.
///
/// They hold for the transaction only, so that they work behind a pooler, where sessions are shared.
package struct TransactionLimits: Sendable {
    private let settings: [(name: String, limit: Duration)]

    /// - Parameters:
    ///   - statement: one statement. It does not end a COPY that waits for its client's next row: the server takes in
    ///     such an end only with that row. Who waits for its locks ends its session.
    ///   - lock: waiting for one lock.
    ///   - idle: waiting for the client's next statement.
    package init(statement: Duration, lock: Duration, idle: Duration) {
        settings = [
            ("statement_timeout", statement), ("lock_timeout", lock), ("idle_in_transaction_session_timeout", idle),
        ]
    }

    var statements: String {
        settings.map { name, limit in
            let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
            return "SET LOCAL \(name) = \(milliseconds)"
        }.joined(separator: "; ")
    }
}
