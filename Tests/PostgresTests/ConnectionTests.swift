import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct `A connection` {
    @Test func `returns text, whole numbers, truth values and NULL`() throws {
        var connection = try connect()
        let result = try connection.query(
            "SELECT 'Zürich €', 9223372036854775807, true, NULL, false UNION ALL SELECT '', -1, NULL, NULL, NULL")
        #expect(result.rowCount == 2)
        #expect(result.columnCount == 5)
        #expect(result.string(0, 0) == "Zürich €")
        #expect(result.int64(0, 1) == .max)
        #expect(result.bool(0, 2) == true)
        #expect(result.bool(0, 4) == false)
        #expect(result.isNull(0, 3) == true)
        #expect(result.string(0, 3) == nil)
        #expect(result.string(1, 0) == "")
        #expect(result.int64(1, 0) == nil)
        #expect(result.commandTag == "SELECT 2")
        #expect(result.isNull(2, 0) && result.isNull(0, 5))
    }

    @Test func `passes parameters of every kind`() throws {
        var connection = try connect()
        let result = try connection.query(
            "SELECT $1::text, $2::int8 + 1, $3::text IS NULL, octet_length($4::bytea), encode($4, 'hex'), $5::bytea = ''",
            parameters: ["it's 'quoted' ✓", .integer(.max - 1), nil, .bytes([0, 255, 39]), .bytes([])])
        #expect(result.string(0, 0) == "it's 'quoted' ✓")
        #expect(result.int64(0, 1) == .max)
        #expect(result.bool(0, 2) == true)
        #expect(result.int64(0, 3) == 3)
        #expect(result.string(0, 4) == "00ff27")
        #expect(result.bool(0, 5) == true)
    }

    @Test func `refuses text with NUL instead of cutting it off`() throws {
        var connection = try connect()
        let error = try failure { try connection.execute("SELECT $1::text", parameters: ["a\0b"]) }
        #expect(error.isDataError)
    }

    @Test func `counts the rows that a statement affected`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int); INSERT INTO t SELECT generate_series(1, 10)")
        #expect(try connection.execute("DELETE FROM t WHERE n > $1", parameters: [7]) == 3)
    }

    @Test func `stops several statements at the first error`() throws {
        var connection = try connect()
        let error = try failure { try connection.execute("SELECT 1; SELECT 1/0; CREATE TEMP TABLE never ()") }
        #expect(error.sqlState == "22012")
        #expect(try connection.query("SELECT to_regclass('never') IS NULL").bool(0, 0) == true)
    }

    @Test(arguments: ["COPY t FROM STDIN", "COPY (SELECT generate_series(1, 1000)) TO STDOUT"])
    func `is ready again after a COPY that was executed like a query`(sql: String) throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int)")
        try? connection.execute(sql)
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func `hands notices to its handler`() throws {
        let notices = Mutex<[String]>([])
        let configuration = try PostgresConfiguration(testServer().conninfo, applicationName: "tests")
        var connection = try PostgresConnection(configuration) { severity, message in
            notices.withLock { $0.append("\(severity): \(message)") }
        }
        try connection.execute("DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$")
        #expect(notices.withLock { $0 } == ["WARNING: mind the gap"])
    }

    @Test func `knows its server`() throws {
        var connection = try connect()
        #expect(connection.serverVersion >= 150_000)
        #expect(try connection.query("SELECT pg_backend_pid()").int64(0, 0) == Int64(connection.backendPID))
    }

    @Test func `is cancelled from another thread`() throws {
        var connection = try connect()
        let cancel = try connection.cancelHandle()
        let pid = connection.backendPID
        let canceller = Worker {
            var observer = try connect()
            try eventually("the statement runs") {
                try observer.query(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep%' AND state = 'active'",
                    parameters: [.integer(Int64(pid))]
                ).int64(0, 0) == 1
            }
            try cancel.cancel()
        }
        let error = try failure { try connection.execute("SELECT pg_sleep(600)") }
        try canceller.value()
        #expect(error.sqlState == "57014")
        #expect(error.isRetriable && !error.isConnectionLost)
        #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
    }

    @Test func `notices that the server ended it`() throws {
        var connection = try connect()
        let wasAlive = connection.isAlive
        #expect(wasAlive)
        try terminate(connection.backendPID)
        try eventually("its end is noticed") { !connection.isAlive }
        #expect(connection.transactionStatus == .unknown)
        let error = try failure { try connection.execute("SELECT 1") }
        #expect(error.isConnectionLost && error.isRetriable)
        #expect(try failure { _ = try connection.cancelHandle().cancel() }.message.contains("cancel"))
    }
}

/// Ends a server process and waits until it is gone.
func terminate(_ pid: Int32) throws {
    var other = try connect()
    try other.execute("SELECT pg_terminate_backend($1)", parameters: [.integer(Int64(pid))])
    try eventually("the backend is gone") {
        try other.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", parameters: [.integer(Int64(pid))]).rowCount
            == 0
    }
}
