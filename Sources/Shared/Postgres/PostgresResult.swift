internal import CLibpq

/// The rows and the tag that one statement returned, in text format. Owns its memory.
package struct PostgresResult: ~Copyable {
    private let handle: OpaquePointer

    /// Takes over a result of libpq.
    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        PQclear(handle)
    }

    /// The number of rows returned.
    package var rowCount: Int { Int(PQntuples(handle)) }

    /// The number of columns of a row.
    package var columnCount: Int { Int(PQnfields(handle)) }

    /// What the server says it did, for example `INSERT 0 5` or `ROLLBACK`.
    package var commandTag: String { String(cString: PQcmdStatus(handle)) }

    /// The number of rows written, deleted, copied or returned; 0 for statements that have none.
    package var affectedRows: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

    /// Whether a value is NULL, or not there at all.
    package func isNull(_ row: Int, _ column: Int) -> Bool {
        row >= rowCount || column >= columnCount || PQgetisnull(handle, Int32(row), Int32(column)) == 1
    }

    /// A value as text; `nil` for NULL.
    package func string(_ row: Int, _ column: Int) -> String? {
        isNull(row, column) ? nil : String(cString: PQgetvalue(handle, Int32(row), Int32(column)))
    }

    /// A whole number; `nil` for NULL and for what is no whole number of 64 bits.
    package func int64(_ row: Int, _ column: Int) -> Int64? {
        string(row, column).flatMap { Int64($0) }
    }

    /// A `bytea`, in a copy; `nil` for NULL.
    package func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
        guard !isNull(row, column), let text = PQgetvalue(handle, Int32(row), Int32(column)) else { return nil }
        return text.withMemoryRebound(to: UInt8.self, capacity: Int(PQgetlength(handle, Int32(row), Int32(column))) + 1)
        {
            var count = 0
            guard let bytes = PQunescapeBytea($0, &count) else { return nil }
            defer { PQfreemem(bytes) }
            return Array(UnsafeBufferPointer(start: bytes, count: count))
        }
    }

    /// A truth value; `nil` for NULL and for other types.
    package func bool(_ row: Int, _ column: Int) -> Bool? {
        switch string(row, column) {
        case "t": true
        case "f": false
        default: nil
        }
    }
}
