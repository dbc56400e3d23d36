import Foundation

/// Looks programs up the way a shell does.
package enum Executable {
    /// The absolute path of `name`: a path when it contains a slash, else the first match on `PATH`; nil when nothing
    /// executable is there.
    package static func find(
        _ name: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> String? {
        if name.contains("/") { return isProgram(name) ? URL(fileURLWithPath: name).path : nil }
        let folders = (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return folders.lazy.map { "\($0)/\(name)" }.first(where: isProgram)
    }

    private static func isProgram(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
            && FileManager.default.isExecutableFile(atPath: path)
    }
}
