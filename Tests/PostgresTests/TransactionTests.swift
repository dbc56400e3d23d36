import Postgres
import Testing

@Suite struct `A transaction` {
    @Test func `keeps what was committed and drops what was rolled back`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int)")
        try connection.begin()
        #expect(connection.transactionStatus == .inTransaction)
        try connection.execute("INSERT INTO t VALUES (1)")
        try connection.commit()
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (2)")
        try connection.rollback()
        #expect(connection.transactionStatus == .idle)
        #expect(try connection.query("SELECT sum(n) FROM t").int64(0, 0) == 1)
    }

    @Test func `that failed makes COMMIT throw a distinct error`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int)")
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        #expect(try failure { try connection.execute("SELECT 1/0") }.isDataError)
        #expect(connection.transactionStatus == .failed)
        let error = try failure { try connection.commit() }
        #expect(error.isCommitOfFailedTransaction)
        #expect(!error.isConnectionLost && !error.isRetriable && !error.isDataError)
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func `whose constraints fail at COMMIT throws the constraint's error`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1), (1)")
        let error = try failure { try connection.commit() }
        #expect(error.sqlState == "23505" && error.isDataError && !error.isCommitOfFailedTransaction)
        #expect(connection.transactionStatus == .idle)
    }

    @Test(arguments: [PostgresConnection.Isolation.readCommitted, .repeatableRead, .serializable])
    func `has the isolation asked for`(isolation: PostgresConnection.Isolation) throws {
        var connection = try connect()
        try connection.begin(isolation)
        let shown = try connection.query("SHOW transaction_isolation").string(0, 0)
        #expect(shown == isolation.rawValue.lowercased())
    }

    @Test func `may be rolled back when there is none`() throws {
        var connection = try connect()
        try connection.rollback()
        #expect(connection.transactionStatus == .idle)
    }

    @Test func `begins together with its next statement`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int)")
        connection.beginWithNextStatement(.serializable)
        #expect(connection.transactionStatus == .idle)
        try connection.execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
        #expect(connection.transactionStatus == .inTransaction)
        #expect(try connection.query("SHOW transaction_isolation").string(0, 0) == "serializable")
        try connection.rollback()

        connection.beginWithNextStatement()
        #expect(try connection.query("SELECT count(*) + $1 FROM t", parameters: [.integer(3)]).int64(0, 0) == 3)
        #expect(connection.transactionStatus == .inTransaction)
        try connection.commit()

        connection.beginWithNextStatement()
        let copied = try connection.copyIn("COPY t FROM STDIN") { (stream: inout CopyStream) throws(PostgresError) in
            try stream.send(Array("1\n".utf8))
        }
        #expect(copied == 1)
        #expect(connection.transactionStatus == .inTransaction)
        try connection.rollback()

        connection.beginWithNextStatement()
        try connection.rollback()
        try connection.execute("INSERT INTO t VALUES (4)")
        #expect(connection.transactionStatus == .idle)
        #expect(try connection.query("SELECT sum(n) FROM t").int64(0, 0) == 4)
    }

    @Test func `a statement that goes with the COMMIT and fails keeps it from being executed`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int)")
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        connection.executeWithNextStatement("INSERT INTO t VALUES (2)")
        connection.executeWithNextStatement("INSERT INTO t VALUES (1 / 0)")
        let error = #expect(throws: PostgresError.self) { try connection.commit() }
        #expect(error?.sqlState == "22012")
        #expect(connection.transactionStatus == .failed)
        try connection.rollback()
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)

        // Nothing of what failed is left over.
        try connection.begin()
        connection.executeWithNextStatement("INSERT INTO t VALUES (3)")
        try connection.commit()
        #expect(try connection.query("SELECT sum(n) FROM t").int64(0, 0) == 3)
    }

    @Test func `a statement commits by itself, but not inside of a transaction`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (n int CHECK (n < 5))")
        try connection.executeAndCommit("INSERT INTO t VALUES ($1)", parameters: [1])
        #expect(connection.transactionStatus == .idle)
        let refused = #expect(throws: PostgresError.self) {
            try connection.executeAndCommit("INSERT INTO t VALUES ($1)", parameters: [5])
        }
        #expect(refused?.isDataError == true)
        #expect(connection.transactionStatus == .idle)
        // Where the commit itself fails, the statement has long been answered.
        try connection.execute("CREATE TEMP TABLE one (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        let late = #expect(throws: PostgresError.self) {
            try connection.executeAndCommit("INSERT INTO one VALUES ($1), ($1)", parameters: [2])
        }
        #expect(late?.sqlState == "23505")
        #expect(try connection.query("SELECT count(*) FROM one").int64(0, 0) == 0)
        try connection.begin()
        let open = #expect(throws: PostgresError.self) {
            try connection.executeAndCommit("INSERT INTO t VALUES ($1)", parameters: [3])
        }
        #expect(open?.message.contains("open transaction") == true)
        try connection.rollback()
        #expect(try connection.query("SELECT sum(n) FROM t").int64(0, 0) == 1)
    }

    @Test func `a literal is the text that it was made of`() throws {
        var connection = try connect()
        for text in ["", "plain", "it's", "back\\slash", "'; DROP TABLE t; --", "$1", "é😀", "line\nbreak"] {
            let literal = try connection.literal(text)
            #expect(try connection.query("SELECT \(literal)").string(0, 0) == text)
        }
        let error = #expect(throws: PostgresError.self) { try connection.literal("a\0b") }
        #expect(error?.isDataError == true)
    }
}
