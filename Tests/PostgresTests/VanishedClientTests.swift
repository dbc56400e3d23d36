import Postgres
import TestSupport
import Testing

/// A client that is gone, or stands still, without its connection having ended.
@Suite struct `A client that vanished` {
    private static let limits = TransactionLimits(statement: .seconds(1), lock: .seconds(60), idle: .milliseconds(500))

    /// Waits for a lock that nobody gets while the client holds its own.
    private func waitForLock(_ table: String) throws {
        var other = try connect()
        try other.begin(limits: TransactionLimits(statement: .seconds(60), lock: .seconds(60), idle: .seconds(60)))
        try other.execute("LOCK TABLE \(table)")
        try other.commit()
    }

    private func run(_ sql: String) throws {
        var connection = try connect()
        try connection.execute(sql)
    }

    @Test func `between two statements loses its locks when its time is over`() throws {
        try run("CREATE TABLE vanished_between (n int)")
        defer { try? run("DROP TABLE vanished_between") }
        var client = try connect()
        try client.begin(limits: Self.limits)
        try client.execute("INSERT INTO vanished_between VALUES (1)")
        let clock = ContinuousClock()
        #expect(try clock.measure { try waitForLock("vanished_between") } < .seconds(30))
        let error = try failure { try client.commit() }
        #expect(error.isConnectionLost && error.isRetriable)
    }

    /// The server takes in no time-out while it reads rows, so others must be able to end the session.
    @Test func `in the middle of COPY loses its locks when its session is ended`() throws {
        try run("CREATE TABLE vanished_in_copy (n int)")
        defer { try? run("DROP TABLE vanished_in_copy") }
        var client = try connect()
        let pid = client.backendPID
        try client.begin(limits: Self.limits)
        var mishap: (any Error)?
        let error = try failure {
            _ = try client.copyIn("COPY vanished_in_copy FROM STDIN") { stream throws(PostgresError) in
                try stream.send(Array("1\n".utf8))
                mishap = mishapWhileEnding(pid)
            }
        }
        #expect(mishap == nil)
        #expect(error.isConnectionLost)
    }

    private func mishapWhileEnding(_ pid: Int32) -> (any Error)? {
        do {
            try waitUntilOverTime(pid)
            try terminate(pid)
            try waitForLock("vanished_in_copy")
            return nil
        } catch {
            return error
        }
    }

    /// Waits until a session has read its client's rows for twice as long as its statement may take.
    private func waitUntilOverTime(_ pid: Int32) throws {
        var observer = try connect()
        try eventually("its statement is over time") {
            try observer.query(
                """
                SELECT FROM pg_stat_activity
                WHERE pid = $1 AND wait_event = 'ClientRead' AND clock_timestamp() - query_start > '2 s'
                """, parameters: [.integer(Int64(pid))]
            ).rowCount == 1
        }
    }

    @Test func `together with its machine is noticed by the server as soon as by this side`() throws {
        var client = try connect()
        let before = try shown(&client)
        try client.begin()
        #expect(try shown(&client) == "10 5 3 30000")
        try client.commit()
        #expect(try shown(&client) == before)
        try client.begin(limits: Self.limits)
        #expect(try shown(&client) == "10 5 3 30000")
    }

    /// What the server shows of these settings is what the socket has.
    private func shown(_ connection: inout PostgresConnection) throws -> String? {
        try connection.query(
            """
            SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
                current_setting('tcp_keepalives_count'), current_setting('tcp_user_timeout'))
            """
        ).string(0, 0)
    }
}
