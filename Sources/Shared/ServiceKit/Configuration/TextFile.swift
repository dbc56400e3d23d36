import Glibc

/// Reads a whole small text file.
/// - Throws: `SystemError` with the path and the system's reason.
package func readTextFile(_ path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw SystemError("cannot read '\(path)'") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { break }
        bytes += chunk[0..<count]
    }
    guard ferror(file) == 0 else { throw SystemError("cannot read '\(path)'") }
    return String(decoding: bytes, as: UTF8.self)
}

/// Writes a small text file so that a reader sees either nothing or all of it.
/// - Throws: `SystemError` with the path and the system's reason.
package func writeTextFile(_ text: String, to path: String) throws {
    let temporary = path + ".new"
    guard let file = fopen(temporary, "w") else { throw SystemError("cannot write '\(path)'") }
    var bytes = Array(text.utf8)
    let written = fwrite(&bytes, 1, bytes.count, file) == bytes.count
    guard fclose(file) == 0, written, rename(temporary, path) == 0 else {
        let error = SystemError("cannot write '\(path)'")
        unlink(temporary)
        throw error
    }
}

/// A system call that failed: what was tried, and the system's reason.
package struct SystemError: Error, CustomStringConvertible {
    package let description: String

    /// Takes the reason from `errno`.
    package init(_ action: String) {
        description = "\(action): \(String(cString: strerror(errno)))"
    }
}
