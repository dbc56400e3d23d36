import Foundation
import LocalServers

/// The scenarios that are part of the project.
enum Scenarios {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Scenarios").standardizedFileURL

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".scenario") }.map { String($0.dropLast(".scenario".count)) }.sorted()
    }()

    /// Whether a scenario is to be played: `SCENARIOS=close-1012,http-` in the environment chooses by the beginning.
    static func isChosen(_ name: String) -> Bool {
        let chosen = ProcessInfo.processInfo.environment["SCENARIOS"]?.split(separator: ",") ?? []
        return chosen.isEmpty || chosen.contains { name.hasPrefix($0) }
    }

    /// Copies a scenario into a directory, with the certificates that it names beside it; returns its path there.
    static func copy(_ name: String, to directory: String) async throws -> String {
        let path = "\(directory)/\(name).scenario"
        try FileManager.default.copyItem(atPath: folder.appending(path: "\(name).scenario").path, toPath: path)
        if name.hasPrefix("tls-") {
            try await ChildProcess.run(folder.appending(path: "certificates.sh").path, [directory])
        }
        return path
    }
}
