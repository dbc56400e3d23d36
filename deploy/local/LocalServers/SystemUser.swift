import Foundation
import Glibc

/// A user of the operating system, and which directories it can reach.
struct SystemUser {
    let name: String
    let uid: uid_t
    let gid: gid_t

    init(named name: String) throws(LocalServerError) {
        guard let entry = getpwnam(name) else {
            throw LocalServerError(.missing, "there is no user \(name) on this machine")
        }
        self.name = name
        uid = entry.pointee.pw_uid
        gid = entry.pointee.pw_gid
    }

    static var isRoot: Bool { geteuid() == 0 }

    /// True when every folder above `path` lets this user pass, by its owner, its main group or by all.
    func canReach(_ path: String) -> Bool {
        var folder = URL(fileURLWithPath: path).standardizedFileURL.deletingLastPathComponent()
            .resolvingSymlinksInPath()
        while folder.path != "/" {
            if !canPass(folder.path) { return false }
            folder.deleteLastPathComponent()
        }
        return true
    }

    /// True for a folder that does not exist yet: who makes it decides.
    private func canPass(_ folder: String) -> Bool {
        var entry = stat()
        guard stat(folder, &entry) == 0 else { return true }
        if entry.st_uid == uid { return entry.st_mode & S_IXUSR != 0 }
        if entry.st_gid == gid { return entry.st_mode & S_IXGRP != 0 }
        return entry.st_mode & S_IXOTH != 0
    }
}
