import Foundation

/// The programs of this package as they were built, found in one directory.
package struct BuiltPrograms: Sendable {
    /// The absolute path of the directory.
    package let directory: String

    /// - Parameter directory: nil means that of the running executable, where SwiftPM puts a package's programs and
    ///   its test bundle alike.
    package init(directory: String? = nil) {
        let running = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        self.directory = directory ?? running
    }

    /// The path of a program.
    ///
    /// - Throws: `.missing` when it is not built.
    package func path(of name: String) throws(LocalServerError) -> String {
        guard let path = Executable.find("\(directory)/\(name)") else {
            throw LocalServerError(.missing, "\(directory)/\(name) is not built: run 'make build' first")
        }
        return path
    }
}
