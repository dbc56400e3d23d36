internal import CLibpq

extension PostgresError {
    /// The error in a result that failed. Borrows the result.
    init(result: OpaquePointer, isConnectionLost: Bool) {
        func field(_ code: Int) -> String? {
            PQresultErrorField(result, Int32(code)).map { String(cString: $0) }
        }
        self.init(
            sqlState: field(CLIBPQ_DIAG_SQLSTATE),
            message: field(CLIBPQ_DIAG_MESSAGE) ?? String(cString: PQresultErrorMessage(result)),
            detail: field(CLIBPQ_DIAG_DETAIL),
            hint: field(CLIBPQ_DIAG_HINT),
            context: field(CLIBPQ_DIAG_CONTEXT),
            isConnectionLost: isConnectionLost)
    }

    /// What libpq says went wrong last on a connection, for example that it could not send.
    init(connection: OpaquePointer) {
        self.init(
            message: String(cString: PQerrorMessage(connection)),
            isConnectionLost: PQstatus(connection) != CONNECTION_OK)
    }
}
