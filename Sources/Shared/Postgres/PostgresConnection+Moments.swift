#if DEBUG
    internal import CLibpq
    import Glibc

    extension PostgresConnection {
        /// Where a test can have something happen in the middle of a call.
        package enum Moment: Sendable {
            /// `COPY … FROM STDIN` has begun, and no row is sent.
            case inCopy
            /// COMMIT, or a statement that commits by itself, is sent, and its answer not read.
            case afterSendingCommit
        }

        /// Ends the connection as a lost network would: this side notices with its next call.
        package func cut() {
            shutdown(PQsocket(handle), Int32(SHUT_RDWR))
        }
    }
#endif
