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

    /// True when every folder on the way to `path` lets this user pass, by its owner, its main group or by all.
    func canReach(_ path: String) -> Bool {
        var folder = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath()
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            var entry = stat()
            guard stat(folder.path, &entry) == 0 else { continue }
            let isOpen =
                entry.st_uid == uid
                ? entry.st_mode & S_IXUSR != 0
                : entry.st_gid == gid ? entry.st_mode & S_IXGRP != 0 : entry.st_mode & S_IXOTH != 0
            if !isOpen { return false }
        }
        return true
    }
}
