import Glibc

/// Keeps a second run out of a data directory. The system takes the lock away with the process, however it ends.
struct RunLock: ~Copyable {
    private let file: Int32

    /// - Throws: `PipelineFailure` when another run holds the directory, or nothing can be written there.
    init(directory: String) throws(PipelineFailure) {
        let path = "\(directory)/lock"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw PipelineFailure("cannot write to \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            var bytes = [UInt8](repeating: 0, count: 32)
            let count = max(0, read(file, &bytes, bytes.count))
            close(file)
            let pid = String(decoding: bytes[..<count], as: UTF8.self).prefix { $0.isNumber }
            throw PipelineFailure(
                "a run is using \(directory) already (process \(pid)): stop that one with Ctrl-C first,"
                    + " or name another directory with DATA_DIRECTORY")
        }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(file, 0)
        write(file, text, text.count)
    }

    deinit { close(file) }
}
