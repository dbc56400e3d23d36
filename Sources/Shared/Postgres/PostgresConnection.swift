internal import CLibpq

/// One connection to a PostgreSQL server, used by synchronous, blocking calls.
///
/// Has one owner, who may be a different thread over time: every call that talks to the server is `mutating`, so that
/// the compiler allows no two at once. Every call leaves the connection ready for the next one or lost. Ends with its
/// owner.
package struct PostgresConnection: ~Copyable, @unchecked Sendable {
    let handle: OpaquePointer
    private let notices: NoticeHandler
    /// What goes to the server before the next statement, with it: each with its `;`.
    var queued = ""
    #if DEBUG
        /// Called in the middle of calls, for tests: with what cuts the connection.
        package var atMoment: (_ moment: Moment, _ cut: () -> Void) -> Void = { _, _ in }
    #endif

    /// Connects, and blocks until that succeeded, was refused or took too long (`connect_timeout`, for each host).
    ///
    /// - Parameter onNotice: gets severity and message of the server's notices, on the thread that uses the connection.
    package init(
        _ configuration: PostgresConfiguration,
        onNotice: @escaping @Sendable (_ severity: String, _ message: String) -> Void = { _, _ in }
    ) throws(PostgresError) {
        handle = try Self.connect(configuration)
        notices = NoticeHandler(onNotice)
        notices.attach(to: handle)
        // Keeps the server's details, which may quote rows, out of what libpq says by itself.
        PQsetErrorVerbosity(handle, PQERRORS_TERSE)
    }

    deinit {
        PQfinish(handle)
    }

    /// Whether the connection was still there a moment ago: looks at what has come in, without asking the server.
    package var isAlive: Bool {
        mutating get {
            // Of a server that went away, the first look reads its last words, the second that there are no more.
            PQconsumeInput(handle) == 1 && PQconsumeInput(handle) == 1 && PQstatus(handle) == CONNECTION_OK
        }
    }

    /// The process of the server that serves this connection.
    package var backendPID: Int32 { PQbackendPID(handle) }

    /// The server's version, for example 150004 for 15.4.
    package var serverVersion: Int { Int(PQserverVersion(handle)) }

    /// A handle with which another thread can stop what this connection executes.
    package func cancelHandle() throws(PostgresError) -> PostgresCancelHandle {
        guard let cancel = PQgetCancel(handle) else {
            throw PostgresError(message: "cannot cancel: there is no connection", isConnectionLost: true)
        }
        return PostgresCancelHandle(cancel)
    }
}

// MARK: - Statements

extension PostgresConnection {
    /// Executes SQL without parameters: one statement, or several with `;` between them. Rows are dropped.
    package mutating func execute(_ sql: String) throws(PostgresError) {
        try send(sql)
        _ = try finish()
    }

    /// Has the next statement's round trip execute SQL before it: one statement without parameters, or several with `;`
    /// between them. When it fails, the next statement does, and is not executed.
    package mutating func executeWithNextStatement(_ sql: String) {
        queued += "\(sql); "
    }

    /// A text as it stands in SQL, with its quotes.
    package func literal(_ text: String) throws(PostgresError) -> String {
        guard !text.utf8.contains(0) else { throw .nulCharacter }
        guard let quoted = PQescapeLiteral(handle, text, text.utf8.count) else {
            throw PostgresError(connection: handle)
        }
        defer { PQfreemem(quoted) }
        return String(cString: quoted)
    }

    /// Executes one statement and returns the number of rows it affected.
    @discardableResult
    package mutating func execute(_ sql: String, parameters: [PostgresParameter]) throws(PostgresError) -> Int {
        try query(sql, parameters: parameters).affectedRows
    }

    /// Executes one statement and returns its rows.
    package mutating func query(
        _ sql: String, parameters: [PostgresParameter] = []
    ) throws(PostgresError) -> PostgresResult {
        try send(sql, parameters: parameters)
        return try finish()
    }

    /// Sends statements without parameters, behind what is queued.
    mutating func send(_ sql: String) throws(PostgresError) {
        let whole = queued + sql
        queued = ""
        try sent(PQsendQuery(handle, whole))
    }

    /// Sends one statement with its parameters. What is queued goes before, by itself: there is room for one alone.
    mutating func send(_ sql: String, parameters: [PostgresParameter]) throws(PostgresError) {
        let list = try ParameterList(parameters)
        if !queued.isEmpty { try execute("") }
        try sent(
            list.withValues { values in
                PQsendQueryParams(handle, sql, Int32(values.count), list.types, values, list.lengths, list.formats, 0)
            })
    }

    func sent(_ outcome: Int32) throws(PostgresError) {
        guard outcome == 1 else { throw PostgresError(connection: handle) }
    }

    /// Takes every result of what was sent (of which `first` may have been taken already), and returns the last one or
    /// throws the first error.
    func finish(from first: OpaquePointer? = nil) throws(PostgresError) -> PostgresResult {
        var last: OpaquePointer?
        var failed: OpaquePointer?
        var next = first ?? PQgetResult(handle)
        draining: while let result = next {
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                PQclear(last)
                last = result
            case PGRES_COPY_IN:
                PQclear(result)
                guard PQputCopyEnd(handle, "COPY FROM STDIN must be executed by copyIn") == 1 else { break draining }
            case PGRES_COPY_OUT:
                PQclear(result)
                var row: UnsafeMutablePointer<CChar>?
                while PQgetCopyData(handle, &row, 0) > 0 { PQfreemem(row) }
            default:
                if failed == nil { failed = result } else { PQclear(result) }
            }
            next = PQgetResult(handle)
        }
        if let failed {
            defer {
                PQclear(failed)
                PQclear(last)
            }
            // Where the server has said nothing, libpq could not reach it: of a write that failed it tells only here, and
            // takes the connection for a good one until it reads the next time.
            let isFromServer = PQresultErrorField(failed, Int32(CLIBPQ_DIAG_SQLSTATE)) != nil
            throw PostgresError(
                result: failed, isConnectionLost: !isFromServer || PQstatus(handle) != CONNECTION_OK)
        }
        guard let last else { throw PostgresError(connection: handle) }
        return PostgresResult(last)
    }
}
