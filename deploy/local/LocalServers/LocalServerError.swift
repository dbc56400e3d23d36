import Glibc

/// Why a program or a server could not be started, reached or stopped on this machine.
package struct LocalServerError: Error, Equatable, CustomStringConvertible {
    /// The kinds of failure.
    package enum Code: String, Sendable {
        /// A program or a package is not installed.
        case missing
        /// A setting or a directory cannot be used as given.
        case invalid
        /// Another living server uses the directory.
        case inUse
        /// A system call or a program failed, or a server ended before it was ready.
        case failed
        /// A deadline passed.
        case timedOut
    }

    /// What kind of failure.
    package let code: Code
    /// What failed, where, and what to do about it; no secrets.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// True when the same call may succeed later without a change by a person.
    package var isRetriable: Bool { code == .timedOut || code == .inUse }
    /// True when only a person can mend the cause.
    package var isFatal: Bool { code == .missing || code == .invalid }
    package var description: String { message }

    /// A failed system call, told by `errno`'s text.
    static func system(_ action: String, errno code: Int32) -> LocalServerError {
        LocalServerError(.failed, "cannot \(action): \(String(cString: strerror(code)))")
    }
}
