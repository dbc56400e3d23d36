import Postgres
import Testing

@Suite struct `COPY` {
    static let copy = "COPY t FROM STDIN (FORMAT binary)"

    func table() throws -> PostgresConnection {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (id int8 PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'))")
        return connection
    }

    func rows(_ count: Int, bad: Int? = nil) -> CopyBuffer {
        var rows = CopyBuffer(capacity: 64)
        for id in 0..<count {
            rows.beginRow(columns: 2)
            rows.fields.int8(Int64(id))
            rows.fields.text(id == bad ? "bad" : "name \(id)")
            rows.endRow()
        }
        return rows
    }

    @Test(arguments: [0, 1, 2, 100_000])
    func `writes the rows of a buffer`(count: Int) throws {
        var connection = try table()
        try connection.copyIn(Self.copy, rows: rows(count))
        let result = try connection.query("SELECT count(*), count(*) FILTER (WHERE name = 'name ' || id) FROM t")
        #expect(result.int64(0, 0) == Int64(count))
        #expect(result.int64(0, 1) == Int64(count))
    }

    @Test func `takes statements before it along, and their errors`() throws {
        var connection = try table()
        try connection.copyIn("INSERT INTO t VALUES (7, 'a'), (8, 'b'); SELECT 1; \(Self.copy)", rows: rows(3))
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 5)
        let error = #expect(throws: PostgresError.self) {
            try connection.copyIn("INSERT INTO t VALUES (7, 'again'); \(Self.copy)", rows: rows(1))
        }
        #expect(error?.sqlState == "23505")
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 5)
    }

    @Test func `writes a buffer again after it was reset, in the same memory`() throws {
        var connection = try table()
        var buffer = rows(10)
        let bytes = buffer.byteCount
        buffer.reset()
        #expect(buffer.rowCount == 0 && buffer.byteCount == 0)
        for id in 100..<110 {
            buffer.beginRow(columns: 2)
            buffer.fields.int8(Int64(id))
            buffer.fields.text("name \(id % 10)")
            buffer.endRow()
        }
        #expect(buffer.byteCount == bytes && buffer.rowCount == 10)
        try connection.copyIn(Self.copy, rows: buffer)
        #expect(try connection.query("SELECT sum(id) FROM t").int64(0, 0) == 1045)
    }

    @Test func `leaves out a row that was discarded half-written`() throws {
        var connection = try table()
        var buffer = rows(5)
        buffer.beginRow(columns: 2)
        buffer.fields.int8(99)
        buffer.discardRow()
        buffer.beginRow(columns: 2)
        buffer.fields.int8(5)
        buffer.fields.text("five")
        buffer.endRow()
        try connection.copyIn(Self.copy, rows: buffer)
        #expect(try connection.query("SELECT sum(id) FROM t").int64(0, 0) == 15)
    }

    @Test(arguments: [0, 100_000, 199_999])
    func `throws the server's error and is ready again when a row is bad`(bad: Int) throws {
        var connection = try table()
        try connection.begin()
        let error = try failure { try connection.copyIn(Self.copy, rows: rows(200_000, bad: bad)) }
        #expect(error.sqlState == "23514" && error.isDataError)
        #expect(connection.transactionStatus == .failed)
        try connection.rollback()
        try connection.copyIn(Self.copy, rows: rows(3))
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 3)
    }

    @Test func `throws when the server counts other than the rows sent`() throws {
        var connection = try table()
        try connection.begin()
        let error = try failure { try connection.copyIn(Self.copy + " WHERE id <> 2", rows: rows(4)) }
        #expect(error.message.contains("3 rows where 4 were sent"))
        #expect(!error.isRetriable && !error.isDataError)
    }

    @Test func `counts by the server, with or without a trailer`() throws {
        var connection = try table()
        let buffer = rows(4)
        let bytes = buffer.withUnsafeBytes { Array($0) }
        let counted = try connection.copyIn(Self.copy) { (stream: inout CopyStream) throws(PostgresError) in
            try stream.send(CopyBuffer.header)
            try stream.send(bytes)
        }
        #expect(counted == 4)
    }

    @Test func `throws when the data ends within a row`() throws {
        var connection = try table()
        let buffer = rows(4)
        let bytes = buffer.withUnsafeBytes { Array($0.dropLast(3)) }
        let error = try failure {
            _ = try connection.copyIn(Self.copy) { (stream: inout CopyStream) throws(PostgresError) in
                try stream.send(CopyBuffer.header)
                try stream.send(bytes)
            }
        }
        #expect(error.isDataError)
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func `throws when rows have another number of columns`() throws {
        var connection = try table()
        var buffer = CopyBuffer()
        buffer.beginRow(columns: 1)
        buffer.fields.int8(1)
        buffer.endRow()
        let error = try failure { try connection.copyIn(Self.copy, rows: buffer) }
        #expect(error.sqlState == "22P04")
    }

    @Test func `throws the error of its closure and writes nothing`() throws {
        var connection = try table()
        let buffer = rows(4)
        let bytes = buffer.withUnsafeBytes { Array($0) }
        let own = try failure { _ = try PostgresConfiguration("=", applicationName: "") }
        let error = try failure {
            _ = try connection.copyIn(Self.copy) { (stream: inout CopyStream) throws(PostgresError) in
                try stream.send(CopyBuffer.header)
                try stream.send(bytes)
                throw own
            }
        }
        #expect(error.message == own.message)
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test(arguments: ["SELECT 1", "COPY t TO STDOUT", "COPY nowhere FROM STDIN", "INSERT INTO t VALUES (1, 'x')"])
    func `refuses other statements and is ready again`(sql: String) throws {
        var connection = try table()
        _ = try failure { _ = try connection.copyIn(sql) { _ in } }
        #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
    }

    @Test func `says that the connection is lost when the server ends it midway`() throws {
        var connection = try table()
        let pid = connection.backendPID
        let buffer = rows(200_000)
        let bytes = buffer.withUnsafeBytes { Array($0) }
        let error = try failure {
            _ = try connection.copyIn(Self.copy) { (stream: inout CopyStream) throws(PostgresError) in
                try stream.send(CopyBuffer.header)
                try stream.send(Array(bytes.prefix(1_000_000)))
                #expect(throws: Never.self) { try terminate(pid) }
                try stream.send(Array(bytes.dropFirst(1_000_000)))
                try stream.send(CopyBuffer.trailer)
            }
        }
        #expect(error.isConnectionLost && error.isRetriable)
        #expect(try failure { try connection.execute("SELECT 1") }.isConnectionLost)
    }
}
