import DatabaseTestSupport
import Foundation
import TestSupport

extension TestDatabase {
    /// The connection string with a user and a password of its own in it.
    func url(user: String? = nil, password: String) throws -> String {
        guard var parts = URLComponents(string: url),
            let encoded = password.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        else { throw TestFailure("no connection string") }
        parts.user = user ?? parts.user
        parts.percentEncodedPassword = encoded
        parts.queryItems = nil
        guard let text = parts.string else { throw TestFailure("no connection string") }
        return text
    }

    /// Makes a user, one that may do all unless told otherwise; returns the connection string with its password.
    func makeUser(password: String, _ rights: String = "SUPERUSER") throws -> String {
        let name = "user_\(UUID().uuidString.prefix(8).lowercased())"
        let quoted = password.replacingOccurrences(of: "'", with: "''")
        try execute("CREATE ROLE \(name) LOGIN \(rights) PASSWORD '\(quoted)'")
        return try url(user: name, password: password)
    }
}
