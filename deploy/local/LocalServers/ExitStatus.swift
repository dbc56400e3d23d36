/// How a child process ended.
package enum ExitStatus: Equatable, Sendable, CustomStringConvertible {
    /// It returned this code from `main` or `exit`.
    case exited(Int32)
    /// This signal ended it.
    case signaled(Int32)

    /// True for exit code 0.
    package var isSuccess: Bool { self == .exited(0) }

    package var description: String {
        switch self {
        case .exited(let code): "exited with status \(code)"
        case .signaled(let signal): "ended by signal \(signal)"
        }
    }

    /// From the status word of `waitpid`, whose macros Swift does not import.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signaled(signal)
    }
}
