import Postgres
import TestSupport

/// A test's own database; each call opens a connection, off the cooperative pool, and is bounded in time.
struct Database: Sendable {
    /// As its owner, who migrates and looks.
    let url: String
    /// The connection strings of the readers, each as a user who may do what its program does and no more.
    let programs: [String: String]

    func execute(_ sql: String) async throws {
        try await onThread {
            var connection = try connect()
            try connection.execute(sql)
        }
    }

    /// The rows of one statement, NULL as nil.
    func rows(_ sql: String) async throws -> [[String?]] {
        try await onThread {
            var connection = try connect()
            let result = try connection.query(sql)
            return (0..<result.rowCount).map { row in
                (0..<result.columnCount).map { column in result.string(row, column) }
            }
        }
    }

    /// The first column of a statement's rows, which has no NULL.
    func column(_ sql: String) async throws -> [String] {
        try await rows(sql).map { row in row[0]! }
    }

    /// The one number that a statement returns.
    func number(_ sql: String) async throws -> Int {
        guard let text = try await rows(sql).first?.first ?? nil, let number = Int(text) else {
            throw TestFailure("no number: \(sql)")
        }
        return number
    }

    private func connect() throws -> PostgresConnection {
        let patient = "\(url)&connect_timeout=\(hangLimit.components.seconds)"
        var connection = try PostgresConnection(PostgresConfiguration(patient, applicationName: "end-to-end tests"))
        try connection.execute("SET statement_timeout = '120s'; SET work_mem = '64MB'")
        return connection
    }
}
