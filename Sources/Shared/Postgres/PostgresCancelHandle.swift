internal import CLibpq

/// Stops what a connection is executing, from any thread.
package final class PostgresCancelHandle: Sendable {
    /// Safe to share: libpq never changes it after `PQgetCancel`, and `PQcancel` only reads it.
    private nonisolated(unsafe) let handle: OpaquePointer

    /// Takes over a handle of libpq.
    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        PQfreeCancel(handle)
    }

    /// Asks the server to stop; the statement then fails with SQLSTATE 57014, unless it was quicker.
    ///
    /// Opens a connection of its own and blocks until the server took the request. A cancel that comes late hits
    /// whatever the connection executes by then.
    package func cancel() throws(PostgresError) {
        let outcome = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { reason -> PostgresError? in
            guard PQcancel(handle, reason.baseAddress, Int32(reason.count)) == 0 else { return nil }
            return PostgresError(message: "cannot cancel: \(String(cString: reason.baseAddress!))")
        }
        if let outcome { throw outcome }
    }
}
