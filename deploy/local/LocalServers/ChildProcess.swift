import Foundation
import Glibc

/// A program that this process started and that does not outlive it.
///
/// The child has a process group of its own, so that Ctrl-C at the terminal reaches only the parent, which then stops
/// its children in order. The kernel ends the child when the parent dies, even by SIGKILL. Dropping the last reference
/// ends it too. Standard input is `/dev/null`, signals are at their defaults and no other descriptor is inherited.
///
/// Arguments are visible to every user of the machine: pass secrets in the environment or in a file.
package final class ChildProcess: Sendable {
    /// Where a stream of the child goes.
    package enum Output: Sendable {
        /// To the parent's own stream.
        case inherit
        /// Nowhere.
        case discard
        /// To the end of this file, which is created when missing.
        case file(String)
        /// Line by line to this handler, on a thread of the child's own; all lines have come before `wait` returns.
        case lines(@Sendable (String) -> Void)
    }

    /// What ends a child whose parent died.
    package enum DeathSignal: String, Sendable {
        /// SIGKILL, which no program can ignore.
        case kill = "KILL"
        /// SIGQUIT: for PostgreSQL, which then ends its sessions and removes its shared memory.
        case quit = "QUIT"

        var number: Int32 { self == .kill ? SIGKILL : SIGQUIT }
    }

    /// The program's path.
    package let program: String
    private let state: ChildState

    /// Starts a program; returns once the process exists. Blocks for about the time of a fork.
    ///
    /// - Parameters:
    ///   - program: A path, or a name that is looked up on `PATH`.
    ///   - environment: The whole environment of the child.
    ///   - output: Where standard output goes.
    ///   - errors: Where standard error goes; nil sends it where standard output goes.
    ///   - user: Run as this user with its groups; only root can.
    ///   - deathSignal: What the kernel sends the child when this process dies.
    package init(
        _ program: String, _ arguments: [String] = [],
        environment: [String: String] = ProcessInfo.processInfo.environment,
        workingDirectory: String? = nil, output: Output = .inherit, errors: Output? = nil,
        user: String? = nil, deathSignal: DeathSignal = .kill
    ) throws(LocalServerError) {
        guard let path = Executable.find(program, environment: environment) else {
            throw LocalServerError(.missing, "cannot start \(program): no such program, or it is not executable")
        }
        guard let setpriv = Executable.find("setpriv") else {
            throw LocalServerError(.missing, "setpriv is missing: install the Debian package util-linux")
        }
        var command = [setpriv, "--pdeathsig", deathSignal.rawValue]
        if let user {
            command += ["--reuid", user, "--regid", String(try SystemUser(named: user).gid), "--init-groups"]
        }
        command.append("--")
        if let workingDirectory { command += ["/usr/bin/env", "--chdir", workingDirectory] }
        command += [path] + arguments

        let streams = try ChildStreams(output: output, errors: errors)
        let spawned = SpawnThread.shared.run { [command] in
            spawn(
                command, environment: environment.map { "\($0)=\($1)" },
                output: streams.output.descriptor, errors: streams.errors.descriptor)
        }
        let readers = streams.finish()
        self.program = path
        switch spawned {
        case .success(let pid):
            state = ChildState(pid: pid, deathSignal: deathSignal.number, readers: readers)
        case .failure(let error):
            throw LocalServerError.system("start \(path)", errno: error.code)
        }
    }

    deinit { state.kill(state.deathSignal) }

    /// The process id, which is its process group's as well.
    package var pid: Int32 { state.pid }
    /// False once the process has ended.
    package var isRunning: Bool { state.isRunning }
    /// How it ended; nil until then.
    package var exitStatus: ExitStatus? { state.status }

    /// Sends a signal to the process (not to its group); does nothing when it has ended.
    package func kill(_ signal: Int32) { state.kill(signal) }

    /// Waits for the end. Returns nil when `limit` passes or the task is cancelled first.
    @discardableResult
    package func wait(_ limit: Duration? = nil) async -> ExitStatus? {
        let (end, continuation) = AsyncStream<Never>.makeStream()
        state.onExit { continuation.finish() }
        if let limit {
            DispatchQueue.global().asyncAfter(deadline: .now() + limit.seconds) { continuation.finish() }
        }
        for await _ in end {}
        return exitStatus
    }

    /// Asks the process to end, with SIGTERM unless told otherwise; after `grace` its whole group gets SIGKILL.
    ///
    /// Goes on to the end when the calling task is cancelled: stopping is what cancelled tasks do.
    @discardableResult
    package func terminate(_ signal: Int32 = SIGTERM, grace: Duration = .seconds(10)) async -> ExitStatus {
        await Task {
            kill(signal)
            if let status = await wait(grace) { return status }
            state.kill(SIGKILL, group: true)
            return await wait() ?? .signaled(SIGKILL)
        }.value
    }
}

extension Duration {
    var seconds: Double { self / .seconds(1) }
}
