import Glibc
import TradeModel

/// Where a producer keeps its spools: a directory of its own, named after its source, that one process uses at a time.
final class SpoolDirectory: Sendable {
    let path: String
    /// Held until the process ends.
    private let lock: Int32

    /// Makes the directory where it is missing.
    /// - Parameters:
    ///   - base: the directory of all producers on this machine.
    ///   - source: the producer's name.
    init(_ base: String, source: String) throws(SpoolError) {
        path = "\(base)/\(Self.fileName(source))"
        try Self.makeDirectory(path)
        let lockPath = "\(path)/lock"
        lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw SpoolError("open", lockPath, code: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(lock)
            guard code == EWOULDBLOCK else { throw SpoolError("lock", lockPath, code: code) }
            throw SpoolError(
                "\(path) is in use: another producer with --source-id '\(source)' runs here; each needs a name of its own"
            )
        }
    }

    deinit {
        close(lock)
    }

    /// Opens the spool of a topic.
    func spool(_ topic: String, limits: Spool.Limits) throws(SpoolError) -> Spool {
        let directory = "\(path)/\(Self.fileName(topic))"
        try Self.makeDirectory(directory)
        return try Spool(directory: directory, limits: limits)
    }

    private static func makeDirectory(_ path: String) throws(SpoolError) {
        var end = path.startIndex
        while end < path.endIndex {
            end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
            guard mkdir(String(path[..<end]), 0o700) == 0 || errno == EEXIST || errno == EISDIR else {
                let code = errno
                // What is there already need not be writable.
                if code == EROFS || code == EACCES, access(String(path[..<end]), X_OK) == 0 { continue }
                throw SpoolError("make", String(path[..<end]), code: code)
            }
        }
    }

    /// A name that is one of a file, never `.` or `..`, and different for different names.
    private static func fileName(_ name: String) -> String { percentEncoded(name, leaving: "-_") }
}
