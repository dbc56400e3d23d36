internal import CLibpq

/// Where `PostgresConnection.copyIn` takes its data. Valid inside its closure only.
package struct CopyStream: ~Copyable {
    /// libpq copies what it is given, and frees no memory while the connection lives: so give it pieces.
    private static let pieceSize = 1 << 16

    private let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    /// Sends bytes; blocks while the server is behind.
    ///
    /// That it returns does not mean the server took them: only `copyIn`'s return does.
    package mutating func send(_ bytes: UnsafeRawBufferPointer) throws(PostgresError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.pieceSize))
            let outcome = PQputCopyData(
                handle, piece.baseAddress!.assumingMemoryBound(to: CChar.self), Int32(piece.count))
            guard outcome == 1 else { throw PostgresError(connection: handle) }
            rest = rest.dropFirst(piece.count)
        }
    }

    /// Sends bytes; blocks while the server is behind.
    package mutating func send(_ bytes: [UInt8]) throws(PostgresError) {
        let failure = bytes.withUnsafeBytes { bytes -> PostgresError? in
            do throws(PostgresError) {
                try send(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }
}

extension PostgresConnection {
    /// Executes a `COPY … FROM STDIN`, sends what `body` sends, and returns the number of rows the server counted.
    ///
    /// Other statements may stand before it, each with its `;`: they cost no round trip of their own.
    /// - Throws: the error of `body`, after which the server was told to drop everything; otherwise the server's.
    package mutating func copyIn(
        _ sql: String, _ body: (inout CopyStream) throws(PostgresError) -> Void
    ) throws(PostgresError) -> Int {
        try send(sql)
        var answer = PQgetResult(handle)
        while [PGRES_COMMAND_OK, PGRES_TUPLES_OK].contains(PQresultStatus(answer)), let next = PQgetResult(handle) {
            PQclear(answer)
            answer = next
        }
        guard PQresultStatus(answer) == PGRES_COPY_IN else {
            _ = try finish(from: answer)
            throw PostgresError(message: "copyIn was given a statement that is no COPY FROM STDIN")
        }
        PQclear(answer)
        #if DEBUG
            atMoment(.inCopy) { cut() }
        #endif

        var stream = CopyStream(handle)
        do {
            try body(&stream)
        } catch {
            _ = PQputCopyEnd(handle, "the client gave up")
            // The server's answer repeats that the client gave up, unless the connection is gone, which says more.
            do throws(PostgresError) {
                _ = try finish()
            } catch let answer where answer.isConnectionLost {
                throw answer
            } catch {}
            throw error
        }
        // Whether this could be sent is in the result, like whatever else went wrong before.
        _ = PQputCopyEnd(handle, nil)
        return try finish().affectedRows
    }

    /// Executes a `COPY … FROM STDIN (FORMAT binary)` with a buffer's rows.
    ///
    /// - Throws: the server's error; an error, too, when the server counted other than the buffer's rows.
    package mutating func copyIn(_ sql: String, rows: borrowing CopyBuffer) throws(PostgresError) {
        // The compiler lets no closure capture a borrowed buffer, but its bytes, which stay put meanwhile.
        let bytes = rows.fields.bytes
        let counted = try copyIn(sql) { (stream: inout CopyStream) throws(PostgresError) in
            try stream.send(CopyBuffer.header)
            try stream.send(bytes)
            try stream.send(CopyBuffer.trailer)
        }
        guard counted == rows.rowCount else {
            throw PostgresError(message: "COPY counted \(counted) rows where \(rows.rowCount) were sent")
        }
    }
}
