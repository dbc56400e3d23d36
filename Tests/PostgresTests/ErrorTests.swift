import Foundation
import Postgres
import TestSupport
import Testing

@Suite struct `An error` {
    @Test(arguments: [
        ("SELECT 1/0", "22012"), ("SELECT 'x'::numeric", "22P02"), ("INSERT INTO t VALUES (NULL, 1)", "23502"),
        ("INSERT INTO t VALUES (1, -1)", "23514"), ("INSERT INTO t VALUES (1, 1), (1, 1)", "23505"),
    ])
    func `about a row is a data error`(sql: String, sqlState: String) throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (id int PRIMARY KEY, n int CHECK (n > 0))")
        let error = try failure { try connection.execute(sql) }
        #expect(error.sqlState == sqlState)
        #expect(error.isDataError && !error.isRetriable && !error.isConnectionLost)
    }

    @Test func `about the statement is neither of the data nor retriable`() throws {
        var connection = try connect()
        let error = try failure { try connection.execute("SELEKT 1") }
        #expect(error.sqlState == "42601")
        #expect(!error.isDataError && !error.isRetriable && !error.isConnectionLost)
    }

    @Test func `shows rows in its debug description only`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (name text, n int CHECK (n > 0))")
        let error = try failure { try connection.execute("INSERT INTO t VALUES ('private-name', -1)") }
        #expect(!error.description.contains("private-name"))
        #expect(!"\(error as any Error)".contains("private-name"))
        #expect(error.debugDescription.contains("private-name"))
        #expect(error.description.contains("23514"))
        let hinted = try failure { try connection.execute("SELECT nam FROM t") }
        #expect(hinted.hint != nil && !hinted.description.contains(hinted.hint!))
    }

    @Test func `of serialization is retriable`() throws {
        let table = try Table("n int", rows: "(1)")
        var first = try connect()
        var second = try connect()
        try first.begin(.repeatableRead)
        _ = try first.query("SELECT * FROM \(table.name)")
        try second.execute("UPDATE \(table.name) SET n = 2")
        let error = try failure { try first.execute("UPDATE \(table.name) SET n = 3") }
        #expect(error.sqlState == "40001")
        #expect(error.isRetriable && !error.isDataError)
    }

    @Test func `of a deadlock is retriable`() throws {
        let table = try Table("n int PRIMARY KEY", rows: "(1), (2)")
        let name = table.name
        var first = try connect()
        try first.execute("SET deadlock_timeout = '50ms'")
        let pid = first.backendPID
        try first.begin()
        try first.execute("SELECT * FROM \(name) WHERE n = 1 FOR UPDATE")
        let other = Worker {
            var second = try connect()
            try second.execute("SET deadlock_timeout = '1h'")
            try second.begin()
            try second.execute("SELECT * FROM \(name) WHERE n = 2 FOR UPDATE")
            try second.execute("SELECT * FROM \(name) WHERE n = 1 FOR UPDATE")
        }
        var observer = try connect()
        try eventually("the other waits") {
            try observer.query(
                "SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))",
                parameters: [.integer(Int64(pid))]
            ).rowCount == 1
        }
        let error = try failure { try first.execute("SELECT * FROM \(name) WHERE n = 2 FOR UPDATE") }
        #expect(error.sqlState == "40P01")
        #expect(error.isRetriable)
        try first.rollback()
        try other.value()
    }

    @Test func `of a lock time-out is retriable`() throws {
        let table = try Table("n int", rows: "(1)")
        var holder = try connect()
        try holder.begin()
        try holder.execute("LOCK TABLE \(table.name)")
        var waiting = try connect("options='-c lock_timeout=50ms'")
        let error = try failure { _ = try waiting.query("SELECT * FROM \(table.name)") }
        #expect(error.sqlState == "55P03")
        #expect(error.isRetriable && !error.isConnectionLost)
    }

    @Test func `of a statement time-out is retriable`() throws {
        var connection = try connect("options='-c statement_timeout=50ms'")
        let error = try failure { try connection.execute("SELECT pg_sleep(600)") }
        #expect(error.sqlState == "57014")
        #expect(error.isRetriable && !error.isConnectionLost)
    }

    @Test func `of a transaction idle for too long is a lost connection`() throws {
        var connection = try connect("options='-c idle_in_transaction_session_timeout=50ms'")
        let pid = connection.backendPID
        try connection.begin()
        var observer = try connect()
        try eventually("the server gives up") {
            try observer.query("SELECT 1 FROM pg_stat_activity WHERE pid = \(pid)").rowCount == 0
        }
        let error = try failure { try connection.execute("SELECT 1") }
        #expect(error.isRetriable && error.isConnectionLost)
    }

    @Test func `of a terminated backend is a lost connection`() throws {
        var connection = try connect()
        let pid = connection.backendPID
        let terminator = Worker {
            var observer = try connect()
            try eventually("the statement runs") {
                try observer.query("SELECT 1 FROM pg_stat_activity WHERE pid = \(pid) AND wait_event = 'PgSleep'")
                    .rowCount == 1
            }
            try terminate(pid)
        }
        let error = try failure { try connection.execute("SELECT pg_sleep(600)") }
        try terminator.value()
        #expect(error.sqlState == "57P01")
        #expect(error.isRetriable && error.isConnectionLost)
        #expect(try failure { try connection.execute("SELECT 1") }.isConnectionLost)
    }

    @Test func `of too many connections is retriable`() throws {
        var admin = try connect()
        try admin.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        let error = try failure { _ = try connect("user=crowded") }
        #expect(error.sqlState == "53300")
        #expect(error.isRetriable && error.isConnectionLost)
    }

    @Test func `of a wrong password is final and does not show it`() throws {
        var admin = try connect()
        try admin.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-password'")
        #expect(try connect("user=guarded password=right-password").backendPID != 0)
        let error = try failure { _ = try connect("user=guarded password=wrong-password") }
        #expect(error.sqlState == "28P01")
        #expect(!error.isRetriable)
        #expect(!error.debugDescription.contains("wrong-password"))
        #expect(error.description.contains("user=guarded"))
    }

    @Test func `of an unknown database is final`() throws {
        let error = try failure { _ = try connect("dbname=nowhere") }
        #expect(error.sqlState == "3D000")
        #expect(!error.isRetriable)
    }

    @Test func `of a server that is not there is retriable`() throws {
        let error = try failure { _ = try connect("port=1 password=hunter2secret") }
        #expect(error.isConnectionLost && error.isRetriable && error.sqlState == nil)
        #expect(error.description.contains("port=1"))
        #expect(!error.debugDescription.contains("hunter2secret"))
        #expect(!error.description.contains("\n"))
    }

    @Test func `of a server that crashes, stops or does not accept connections yet is retriable`() throws {
        let server = try TestServer()
        var survivor = try connect(to: server)
        try survivor.begin()
        let victim = try connect(to: server)
        #expect(kill(victim.backendPID, SIGKILL) == 0)
        let crash = try failure {
            try eventually("the crash is felt") {
                try survivor.execute("SELECT 1")
                return false
            }
        }
        #expect(crash.isRetriable && crash.isConnectionLost)
        #expect(crash.sqlState == nil || crash.sqlState == "57P02")

        var idle: PostgresConnection?
        try eventually("the server has recovered") {
            idle = try? connect(to: server)
            return idle != nil
        }
        try server.refuseConnections()
        try server.stop()
        let stopped = try failure { try idle!.execute("SELECT 1") }
        #expect(stopped.sqlState == "57P01")
        #expect(stopped.isRetriable && stopped.isConnectionLost)

        try server.start(refusing: true)
        let starting = try failure { _ = try connect(to: server) }
        #expect(starting.sqlState == "57P03")
        #expect(starting.isRetriable && starting.isConnectionLost)
    }
}

/// A table that others see too, dropped with its owner.
final class Table {
    let name = "t_" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()

    init(_ columns: String, rows: String) throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE \(name) (\(columns)); INSERT INTO \(name) VALUES \(rows)")
    }

    deinit {
        do {
            var connection = try connect("options='-c lock_timeout=60s'")
            try connection.execute("DROP TABLE \(name)")
        } catch {
            Issue.record(error)
        }
    }
}
