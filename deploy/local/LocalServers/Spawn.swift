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
    for descriptor in 3...lastDescriptor() { posix_spawn_file_actions_addclose(&actions, descriptor) }

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

/// The last descriptor that may be open when the child is made: other threads may open more until then, say a C library
/// without FD_CLOEXEC, and each gets the lowest number that is free. To close one that is not open is no error.
private func lastDescriptor() -> Int32 {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    let open = names.compactMap { Int32($0) }.max() ?? 3
    // Beyond the process's limit it would be one.
    return max(3, min(open + 64, Int32(clamping: sysconf(Int32(_SC_OPEN_MAX))) - 1))
}
