import Glibc

/// What is wrong with a spool: the file, what the system says, and what to do.
struct SpoolError: Error, CustomStringConvertible {
    let description: String

    init(_ what: String) {
        description = what
    }

    /// - Parameters:
    ///   - action: what could not be done, such as `make`.
    ///   - code: the system's error number.
    init(_ action: String, _ path: String, code: Int32) {
        let advice =
            switch code {
            case EACCES, EPERM, EROFS:
                ": --spool-directory must name a directory that this user may write to"
            case ENOSPC, EDQUOT: ": make room there, or name another place with --spool-directory"
            default: ""
            }
        self.init("cannot \(action) \(path): \(String(cString: strerror(code)))\(advice)")
    }
}
