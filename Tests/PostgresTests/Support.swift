import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

/// A new connection to the shared server.
func connect(_ more: String = "") throws -> PostgresConnection {
    try connect(to: testServer(), more)
}

func connect(to server: TestServer, _ more: String = "") throws -> PostgresConnection {
    try PostgresConnection(PostgresConfiguration("\(server.conninfo) \(more)", applicationName: "tests"))
}

/// The error that `body` must throw.
func failure(_ body: () throws -> Void) throws -> PostgresError {
    do {
        try body()
    } catch let error as PostgresError {
        return error
    }
    throw TestFailure("no error was thrown")
}
