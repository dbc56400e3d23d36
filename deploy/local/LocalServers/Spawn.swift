import Foundation
import Glibc

/// The `errno` of a failed spawn.
struct SpawnFailure: Error {
    let code: Int32
}

/// Starts `command[0]` in a process group of its own, with signals at their defaults and no descriptor past 2.
func spawn(
    _ command: [String], environment: [String], output: Int32, errors: Int32
) -> Result<Int32, SpawnFailure> {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    // The error stream first: when it goes where the output goes, that is the parent's descriptor still.
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    for descriptor in inheritableDescriptors() { posix_spawn_file_actions_addclose(&actions, descriptor) }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    posix_spawnattr_setflags(&attributes, Int16(flags))
    posix_spawnattr_setpgroup(&attributes, 0)
    var signals = sigset_t()
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)

    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var pid: Int32 = 0
    let code = posix_spawn(&pid, command[0], &actions, &attributes, &arguments, &variables)
    return code == 0 ? .success(pid) : .failure(SpawnFailure(code: code))
}

/// The descriptors past 2 that an exec would hand on, say a C library's.
private func inheritableDescriptors() -> [Int32] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return names.compactMap { Int32($0) }.filter { descriptor in
        let flags = fcntl(descriptor, F_GETFD)
        return descriptor > 2 && flags >= 0 && flags & FD_CLOEXEC == 0
    }
}
