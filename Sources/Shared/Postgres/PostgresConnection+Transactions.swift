internal import CLibpq

extension PostgresConnection {
    /// How much of others' work a transaction sees.
    package enum Isolation: String, Sendable {
        /// Each statement sees what was committed before it.
        case readCommitted = "READ COMMITTED"
        /// All statements see one snapshot.
        case repeatableRead = "REPEATABLE READ"
        /// As if transactions ran one after the other.
        case serializable = "SERIALIZABLE"
    }

    /// Where a connection stands with respect to transactions.
    package enum TransactionStatus: Sendable {
        /// Not in a transaction.
        case idle
        /// In a transaction, ready for its next statement.
        case inTransaction
        /// In a transaction that can only be rolled back.
        case failed
        /// There is no connection, or a statement is being executed.
        case unknown
    }

    /// Where this connection stands, as the server said last.
    package var transactionStatus: TransactionStatus {
        switch PQtransactionStatus(handle) {
        case PQTRANS_IDLE: .idle
        case PQTRANS_INTRANS: .inTransaction
        case PQTRANS_INERROR: .failed
        default: .unknown
        }
    }

    /// Begins a transaction.
    /// - Parameter limits: what its statements may take; nil leaves the session's. In the same round trip.
    package mutating func begin(
        _ isolation: Isolation = .readCommitted, limits: TransactionLimits? = nil
    ) throws(PostgresError) {
        beginWithNextStatement(isolation, limits: limits)
        try execute("")
    }

    /// Has the next statement begin a transaction: it costs no round trip of its own. Until then the server knows of none.
    package mutating func beginWithNextStatement(
        _ isolation: Isolation = .readCommitted, limits: TransactionLimits? = nil
    ) {
        executeWithNextStatement("BEGIN ISOLATION LEVEL \(isolation.rawValue); \(Self.keepalives)")
        if let limits { executeWithNextStatement(limits.statements) }
    }

    /// The server's side of `PostgresConfiguration.defaults`: a client whose machine is gone loses its locks with its
    /// connection, also in mid-COPY. For the transaction only, since sessions may be shared behind a pooler.
    private static let keepalives = [
        ("tcp_keepalives_idle", "keepalives_idle"), ("tcp_keepalives_interval", "keepalives_interval"),
        ("tcp_keepalives_count", "keepalives_count"), ("tcp_user_timeout", "tcp_user_timeout"),
    ].map { "SET LOCAL \($0) = \(PostgresConfiguration.defaults[$1]!)" }.joined(separator: "; ")

    /// Commits.
    ///
    /// - Throws: an error that `isCommitOfFailedTransaction` when the server rolled back instead, which it reports as a
    ///   success with another tag. After an error that `isConnectionLost` it is in doubt whether it committed.
    package mutating func commit() throws(PostgresError) {
        try send("COMMIT")
        #if DEBUG
            atMoment(.afterSendingCommit) { cut() }
        #endif
        let tag = try finish().commandTag
        guard tag == "COMMIT" else {
            throw PostgresError(
                sqlState: PostgresError.transactionRollback,
                message: "COMMIT was answered by \(tag): an earlier statement of the transaction failed")
        }
    }

    /// Executes one statement as a transaction of its own.
    ///
    /// - Throws: the server's error, after which nothing was written; after one that `isConnectionLost` it is in doubt.
    package mutating func executeAndCommit(_ sql: String, parameters: [PostgresParameter]) throws(PostgresError) {
        precondition(queued.isEmpty, "what is queued would begin a transaction that nobody ends")
        try send(sql, parameters: parameters)
        #if DEBUG
            atMoment(.afterSendingCommit) { cut() }
        #endif
        _ = try finish()
        guard transactionStatus == .idle else {
            throw PostgresError(message: "a statement that was to commit by itself ended in an open transaction")
        }
    }

    /// Rolls back; does nothing outside of a transaction.
    package mutating func rollback() throws(PostgresError) {
        queued = ""
        guard transactionStatus != .idle else { return }
        try execute("ROLLBACK")
    }
}
