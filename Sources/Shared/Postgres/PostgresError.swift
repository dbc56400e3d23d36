/// What PostgreSQL or libpq refused, and what a caller can do about it.
///
/// `description` is fit for a log. Detail, hint and context may quote rows and are in `debugDescription` only.
package struct PostgresError: Error, Sendable {
    /// The five characters of the SQLSTATE, where there is one: libpq's own errors have none.
    package let sqlState: String?
    /// The primary message, on one line.
    package let message: String
    /// The server's detail; it may quote a row.
    package let detail: String?
    /// The server's hint.
    package let hint: String?
    /// Where in a function or in COPY's input it happened; it may quote a row.
    package let context: String?
    /// Whether there is no connection (any more): what was sent last is in doubt, and only a new connection helps.
    package let isConnectionLost: Bool

    init(
        sqlState: String? = nil, message: String, detail: String? = nil, hint: String? = nil, context: String? = nil,
        isConnectionLost: Bool = false
    ) {
        self.sqlState = sqlState
        self.message = message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        self.detail = detail
        self.hint = hint
        self.context = context
        self.isConnectionLost = isConnectionLost
    }

    /// Whether the same transaction, begun again after a pause (on a new connection if this one is lost), may succeed.
    package var isRetriable: Bool {
        guard let sqlState else { return isConnectionLost }
        switch sqlState {
        case "28000", "28P01", "3D000", "42501", "57P04":
            // Refused for a lasting reason, although the connection is gone: who one is, which database, which right.
            return false
        case "40001", "40P01":  // serialization failure, deadlock
            return true
        case "55P03", "57014", "25P03":  // lock time-out; statement time-out or cancel; idle in a transaction too long
            return true
        case "25006":  // read-only: a standby answered in the middle of a failover
            return true
        case "57P01", "57P02", "57P03", "57P05":  // shutdown, crash, starting up, idle session ended
            return true
        default:
            // Class 53 is resources: connections, memory, disk.
            return isConnectionLost || sqlState.hasPrefix("53")
        }
    }

    /// Whether a row is to blame, by a value, a constraint or its size (class 22, 23 or 54): a retry does not mend it.
    package var isDataError: Bool {
        guard let sqlState else { return false }
        return ["22", "23", "54"].contains(String(sqlState.prefix(2)))
    }

    /// Whether somebody held a lock for longer than this transaction was to wait.
    package var isLockTimeout: Bool { sqlState == "55P03" }

    /// Whether COMMIT rolled back, because a statement before it had failed: nothing was written.
    package var isCommitOfFailedTransaction: Bool { sqlState == Self.transactionRollback }

    /// The standard's "transaction rollback", which the server itself never sends.
    static let transactionRollback = "40000"
    static let numericOutOfRange = "22003"
    static let timestampOutOfRange = "22008"
    static let characterNotInRepertoire = "22021"
    static let nulCharacter = PostgresError(
        sqlState: characterNotInRepertoire, message: "text cannot hold a NUL character")
}

extension PostgresError: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String {
        guard let sqlState else { return message }
        return "\(message) (SQLSTATE \(sqlState))"
    }

    package var debugDescription: String {
        [("detail", detail), ("hint", hint), ("context", context)].reduce(into: description) { text, part in
            if let value = part.1 { text += "\n\(part.0): \(value)" }
        }
    }
}
