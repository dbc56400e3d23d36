import Foundation

/// Where PostgreSQL's server programs are.
struct PostgresInstallation {
    let binaries: String

    /// The newest version in Debian's place, else what is on `PATH`.
    init() throws(LocalServerError) {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
        let newest = versions.sorted().reversed().map { "\(root)/\($0)/bin" }
            .first { Executable.find("\($0)/postgres") != nil && Executable.find("\($0)/initdb") != nil }
        let onPath = Executable.find("postgres").map {
            URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent().path
        }
        guard let binaries = newest ?? onPath else {
            throw LocalServerError(
                .missing, "PostgreSQL's server is not installed: install the Debian package postgresql (make setup)")
        }
        self.binaries = binaries
    }

    func program(_ name: String) -> String { "\(binaries)/\(name)" }
}
