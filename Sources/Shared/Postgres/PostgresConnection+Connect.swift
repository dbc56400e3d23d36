internal import CLibpq
import Glibc

extension PostgresConnection {
    static func connect(_ configuration: PostgresConfiguration) throws(PostgresError) -> OpaquePointer {
        guard let handle = start(configuration) else { throw PostgresError(message: "out of memory") }
        guard PQstatus(handle) != CONNECTION_OK else { return handle }

        let message = String(cString: PQerrorMessage(handle))
        var sqlState: String?
        if message.contains("FATAL:") {
            // A server answered. libpq keeps the SQLSTATE of such an answer to itself, unless asked for verbose
            // messages before: so ask once more.
            PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
            PQreset(handle)
            guard PQstatus(handle) != CONNECTION_OK else { return handle }
            sqlState = Self.sqlState(inVerbose: String(cString: PQerrorMessage(handle)))
        }
        PQfinish(handle)
        throw PostgresError(
            sqlState: sqlState, message: "\(configuration.redactedDescription): \(message)\(advice(on: message))",
            isConnectionLost: true)
    }

    /// What to do about a certificate that libpq refused: it says that, but not always why.
    private static func advice(on message: String) -> String {
        if message.contains("certificate verify failed") {
            "The server's certificate is out of date, or of an authority that is not trusted: check the server's "
                + "certificate, this machine's clock, and sslrootcert."
        } else if message.contains("does not match host name") {
            "Connect by a name that is in the server's certificate; hostaddr may say where that is."
        } else {
            ""
        }
    }

    private static func start(_ configuration: PostgresConfiguration) -> OpaquePointer? {
        let pairs = configuration.parameters.map { (strdup($0.key), strdup($0.value)) }
        defer {
            for pair in pairs {
                free(pair.0)
                free(pair.1)
            }
        }
        return PQconnectdbParams(
            pairs.map { UnsafePointer($0.0) } + [nil], pairs.map { UnsafePointer($0.1) } + [nil], 0)
    }

    /// Of "… FATAL:  28P01: password authentication failed …" the five characters.
    private static func sqlState(inVerbose message: String) -> String? {
        for word in message.split(separator: " ").reversed() where word.utf8.count == 6 && word.hasSuffix(":") {
            let code = word.dropLast()
            if code.allSatisfy({ $0.isASCII && ($0.isUppercase || $0.isNumber) }), code != "FATAL" {
                return String(code)
            }
        }
        return nil
    }
}

/// What notices of the server go to. Lives as long as the connection.
final class NoticeHandler: Sendable {
    private let handle: @Sendable (_ severity: String, _ message: String) -> Void

    init(_ handle: @escaping @Sendable (_ severity: String, _ message: String) -> Void) {
        self.handle = handle
    }

    func attach(to connection: OpaquePointer) {
        PQsetNoticeReceiver(connection, Self.receive, Unmanaged.passUnretained(self).toOpaque())
    }

    private static let receive: PQnoticeReceiver = { context, result in
        guard let context, let result else { return }
        func field(_ code: Int) -> String {
            PQresultErrorField(result, Int32(code)).map { String(cString: $0) } ?? ""
        }
        Unmanaged<NoticeHandler>.fromOpaque(context).takeUnretainedValue()
            .handle(field(CLIBPQ_DIAG_SEVERITY), field(CLIBPQ_DIAG_MESSAGE))
    }
}
