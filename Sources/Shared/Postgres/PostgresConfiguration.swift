internal import CLibpq
import Glibc

/// How to reach a database: the user's connection string, completed so that no lost peer goes unnoticed for long.
package struct PostgresConfiguration: Sendable {
    /// What is added unless the user's string says otherwise (seconds; `tcp_user_timeout` in milliseconds).
    package static let defaults = [
        "connect_timeout": "10", "keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5",
        "keepalives_count": "3", "tcp_user_timeout": "30000",
    ]

    /// libpq's keywords and values, the password among them: never to be shown.
    let parameters: [String: String]

    /// Reads a `key=value` connection string or a `postgresql://` URI.
    ///
    /// - Parameters:
    ///   - string: what libpq takes; whatever it leaves out comes from the environment (`PGHOST`, `PGPASSWORD` …).
    ///   - applicationName: shown in `pg_stat_activity` unless the string or `PGAPPNAME` names another.
    /// - Throws: when the string cannot be read. The error quotes nothing of it, since any part may be the password.
    package init(_ string: String = "", applicationName: String) throws(PostgresError) {
        guard var parameters = Self.parse(string) else {
            throw PostgresError(
                message: "The connection string is neither key=value pairs nor a postgresql:// URI; "
                    + "special characters of a URI's user and password must be percent-encoded.")
        }
        parameters["client_encoding"] = "UTF8"
        parameters["fallback_application_name"] = applicationName
        for (keyword, value) in Self.defaults where parameters[keyword] == nil {
            if keyword == "connect_timeout", getenv("PGCONNECT_TIMEOUT") != nil { continue }
            parameters[keyword] = value
        }
        self.parameters = parameters
    }

    /// Host, port, database and user, as they are without a connection; fit for a log.
    package var redactedDescription: String {
        let surroundings = Self.values(PQconndefaults()) ?? [:]
        return ["host", "port", "dbname", "user"].compactMap { keyword in
            (parameters[keyword] ?? surroundings[keyword]).map { "\(keyword)=\($0)" }
        }.joined(separator: " ")
    }

    private static func parse(_ string: String) -> [String: String]? {
        for scheme in ["postgresql://", "postgres://"] where string.hasPrefix(scheme) {
            // libpq would take what follows an unencoded '@', '/' or '?' of a password for the host, and name it in errors.
            let rest = string.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            let others = rest.dropFirst(authority.count)
            guard authority.count(where: { $0 == "@" }) <= 1, !others.contains("@") else { return nil }
        }
        return values(PQconninfoParse(string, nil))
    }

    /// Takes over the list of options that libpq allocated.
    private static func values(_ options: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String]? {
        guard let options else { return nil }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { redactedDescription }
    package var debugDescription: String { redactedDescription }
    /// Hides the parameters from `dump` and from messages of tests.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
