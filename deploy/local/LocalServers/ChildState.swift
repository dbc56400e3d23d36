import Foundation
import Glibc
import Synchronization

/// A child's life as the threads see it: signals go in, the exit status comes out.
///
/// A thread of its own waits for the child. The lock makes sure that no signal goes to a process id that was reaped and
/// may belong to another program by now.
final class ChildState: Sendable {
    private struct Life {
        var isReaped = false
        var status: ExitStatus?
        var onExit: [@Sendable () -> Void] = []
    }

    let pid: Int32
    let deathSignal: Int32
    private let life = Mutex(Life())

    init(pid: Int32, deathSignal: Int32, readers: [LineReader]) {
        self.pid = pid
        self.deathSignal = deathSignal
        ExitCleanup.add(self)
        let thread = Thread { self.reap(readers) }
        thread.name = "reaper"
        thread.start()
    }

    var isRunning: Bool { life.withLock { !$0.isReaped } }
    /// Set once the child has ended and its lines were handed over.
    var status: ExitStatus? { life.withLock { $0.status } }

    /// Signals the child itself, or its whole process group; does nothing once it has ended.
    func kill(_ signal: Int32, group: Bool = false) {
        life.withLock { if !$0.isReaped { _ = Glibc.kill(group ? -pid : pid, signal) } }
    }

    /// Calls `body` once the exit status is known, at once when it is known already.
    func onExit(_ body: @escaping @Sendable () -> Void) {
        let hasEnded = life.withLock {
            if $0.status == nil { $0.onExit.append(body) }
            return $0.status != nil
        }
        if hasEnded { body() }
    }

    private func reap(_ readers: [LineReader]) {
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        var waitStatus: Int32 = 0
        life.withLock {
            // While the child is a zombie its group's number is taken: what it left behind in the group ends with it.
            _ = Glibc.kill(-pid, SIGKILL)
            _ = waitpid(pid, &waitStatus, 0)
            $0.isReaped = true
        }
        ExitCleanup.remove(self)
        // A descendant that left the group may hold the pipe open for ever, hence the limit.
        for reader in readers { reader.join(.seconds(10)) }
        let status = ExitStatus(waitStatus: waitStatus)
        let handlers = life.withLock { life in
            life.status = status
            defer { life.onExit = [] }
            return life.onExit
        }
        for handler in handlers { handler() }
    }
}
