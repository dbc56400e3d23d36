import Foundation
import Glibc

/// A new directory that is removed with its content when the last reference goes, at the latest when the process exits.
///
/// Others can pass through it but not list it (mode 0711): a server that runs as another user reaches its own part.
package final class TemporaryDirectory: Sendable {
    /// The absolute path.
    package let path: String
    private let isKept: Bool

    /// Makes a directory `<parent>/<prefix>-XXXXXX`; `parent` is the system's temporary one unless told otherwise.
    package init(
        prefix: String = "tickstream", in parent: String = NSTemporaryDirectory(), keep: Bool = false
    ) throws(LocalServerError) {
        var template = URL(fileURLWithPath: parent).appendingPathComponent("\(prefix)-XXXXXX").path.utf8CString
        let made = template.withUnsafeMutableBufferPointer { buffer in
            mkdtemp(buffer.baseAddress!).map { String(cString: $0) }
        }
        guard let made else { throw .system("make a temporary directory in \(parent)", errno: errno) }
        chmod(made, 0o711)
        path = made
        isKept = keep
        if !keep { ExitCleanup.add(directory: made) }
    }

    deinit {
        guard !isKept else { return }
        Self.remove(path)
        ExitCleanup.remove(directory: path)
    }

    /// Removes a tree, again when a program that is about to end put something into it meanwhile.
    static func remove(_ path: String) {
        for _ in 0..<20 where FileManager.default.fileExists(atPath: path) {
            try? FileManager.default.removeItem(atPath: path)
            if FileManager.default.fileExists(atPath: path) { usleep(50_000) }
        }
    }
}
