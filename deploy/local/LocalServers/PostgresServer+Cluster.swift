import Foundation
import Glibc

/// Making the cluster: directories, passwords, initdb.
extension PostgresServer {
    /// What PostgreSQL's programs see: none of the caller's `PG…` variables, and no secret of the caller's.
    static let environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"]

    /// `path`, or a directory of `/var/tmp` that stands for it when `user` cannot get there.
    static func reachable(_ path: String, by user: SystemUser?) -> String {
        guard let user, !user.canReach(path) else { return path }
        let hash = path.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return "/var/tmp/tickstream-\(String(hash, radix: 36))"
    }

    /// Makes the directories, each entered by the server's user alone.
    func prepareDirectories() throws(LocalServerError) {
        for path in [directory, socketDirectory] {
            do {
                try FileManager.default.createDirectory(
                    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            } catch {
                throw LocalServerError(.invalid, "cannot make the directory \(path): \(error)")
            }
            let isNew = mkdir(path, 0o700) == 0
            guard isNew || errno == EEXIST else { throw .system("make the directory \(path)", errno: errno) }
            if isNew { try own(path) }
            // In a folder that everyone writes to, someone else may have made it first.
            var entry = stat()
            guard lstat(path, &entry) == 0, entry.st_mode & S_IFMT == S_IFDIR,
                entry.st_uid == systemUser?.uid ?? geteuid(), entry.st_mode & 0o077 == 0
            else {
                throw LocalServerError(
                    .invalid,
                    "\(path) must be a directory of the user \(systemUser?.name ?? NSUserName()) with mode 0700:"
                        + " remove it or name another one")
            }
        }
        if directory != requestedDirectory {
            let parent = (requestedDirectory as NSString).deletingLastPathComponent
            try? FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            // For people, who look for it there; the server itself does without.
            symlink(directory, requestedDirectory)
        }
    }

    /// Runs initdb beside the data's place and renames, so that an interrupted run leaves no half cluster.
    func initialize() async throws(LocalServerError) {
        guard !FileManager.default.fileExists(atPath: "\(data)/PG_VERSION") else { return }
        let new = "\(data).new"
        let secret = "\(directory)/secret"
        try? FileManager.default.removeItem(atPath: new)
        var random = SystemRandomNumberGenerator()
        let password = (0..<4).map { _ in String(random.next(), radix: 36) }.joined()
        try write(password, to: secret)
        defer { unlink(secret) }
        try write("127.0.0.1:*:*:\(Self.user):\(password)", to: passwordFile)
        try await ChildProcess.run(
            installation.program("initdb"),
            [
                "-D", new, "-U", Self.user, "--encoding=UTF8", "--locale=C", "--auth-local=trust",
                "--auth-host=scram-sha-256", "--pwfile=\(secret)", "--no-sync", "--no-instructions",
            ], environment: Self.environment, user: systemUser?.name)
        guard rename(new, data) == 0 else { throw .system("rename \(new) to \(data)", errno: errno) }
    }

    /// The superuser's password, once there is a cluster.
    func password() throws(LocalServerError) -> String {
        guard let line = try? String(contentsOfFile: passwordFile, encoding: .utf8),
            let password = line.split(separator: "\n").first?.split(separator: ":").last
        else { throw LocalServerError(.invalid, "cannot read \(passwordFile)") }
        return String(password)
    }

    /// Writes a file that only the server's user may read.
    func write(_ text: String, to path: String) throws(LocalServerError) {
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("write to \(path)", errno: errno) }
        defer { close(file) }
        let bytes = Array("\(text)\n".utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw .system("write to \(path)", errno: errno)
        }
        try own(path)
    }

    private func own(_ path: String) throws(LocalServerError) {
        guard let systemUser else { return }
        guard chown(path, systemUser.uid, systemUser.gid) == 0 else {
            throw .system("change the owner of \(path)", errno: errno)
        }
    }
}
