import Foundation
import LocalServers
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ChildProcessTests {
    @Test func `the exit status comes back`() async throws {
        let child = try ChildProcess("sh", ["-c", "exit 7"])
        #expect(await child.wait(hangLimit) == .exited(7))
        #expect(!child.isRunning)
        #expect(child.exitStatus == .exited(7))
    }

    @Test func `a program that does not exist is an error that names it`() throws {
        #expect {
            try ChildProcess("/nonexistent/program")
        } throws: { error in
            (error as? LocalServerError)?.code == .missing && "\(error)".contains("/nonexistent/program")
        }
    }

    @Test func `wait returns nil when the limit passes first`() async throws {
        let child = try ChildProcess("sleep", ["60"])
        #expect(await child.wait(.milliseconds(20)) == nil)
        #expect(child.isRunning)
        #expect(await child.terminate() == .signaled(SIGTERM))
    }

    @Test func `a cancelled task waits no longer`() async throws {
        let child = try ChildProcess("sleep", ["60"])
        let waiting = Task { await child.wait() }
        waiting.cancel()
        #expect(await waiting.value == nil)
        await child.terminate()
    }

    @Test func `a handler gets all lines before wait returns`() async throws {
        let lines = Lines()
        let child = try ChildProcess(
            "sh", ["-c", "seq 1 100000; echo an error >&2; printf 'no newline'"], output: .lines(lines.append))
        #expect(await child.wait(hangLimit) == .exited(0))
        #expect(lines.all.count == 100_002)
        #expect(zip(lines.all, 1...100_000).allSatisfy { $0 == String($1) })
        #expect(lines.all.suffix(2) == ["an error", "no newline"])
    }

    @Test func `standard output and standard error can go apart`() async throws {
        let folder = try TemporaryDirectory()
        let lines = Lines()
        let child = try ChildProcess(
            "sh", ["-c", "echo out; echo err >&2"], output: .file("\(folder.path)/log"), errors: .lines(lines.append))
        await child.wait(hangLimit)
        #expect(lines.all == ["err"])
        #expect(try String(contentsOfFile: "\(folder.path)/log", encoding: .utf8) == "out\n")
    }

    @Test func `environment and working directory are the child's`() async throws {
        let output = try await ChildProcess.run(
            "sh", ["-c", "echo $ONLY $HOME; pwd"], environment: ["ONLY": "this", "PATH": "/usr/bin:/bin"],
            workingDirectory: "/usr/lib")
        #expect(output == "this\n/usr/lib")
    }

    @Test func `a failing command throws its status and its output`() async throws {
        await #expect {
            try await ChildProcess.run("sh", ["-c", "echo the cause >&2; exit 3"])
        } throws: { error in
            "\(error)".contains("status 3") && "\(error)".contains("the cause")
        }
    }

    @Test func `terminate escalates to SIGKILL and takes the group along`() async throws {
        let lines = Lines()
        let child = try ChildProcess(
            "sh", ["-c", "trap '' TERM; sleep 60 & echo $!; while :; do wait; done"], output: .lines(lines.append))
        try await eventually("a line comes") { lines.all.count == 1 }
        let grandchild = try #require(Int32(lines.all[0]))
        #expect(await child.terminate(grace: .milliseconds(100)) == .signaled(SIGKILL))
        try await eventually("the grandchild dies") { !isAlive(grandchild) }
    }

    @Test func `terminate goes to the end in a cancelled task`() async throws {
        let lines = Lines()
        let child = try ChildProcess(
            "sh", ["-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"],
            output: .lines(lines.append))
        try await eventually("the child is ready") { lines.all == ["ready"] }
        let stopping = Task {
            while !Task.isCancelled { await Task.yield() }
            return await child.terminate(grace: hangLimit)
        }
        stopping.cancel()
        #expect(await stopping.value == .exited(5))
    }

    @Test func `a child has a process group of its own and no ignored signal`() async throws {
        let before = signal(SIGUSR2, SIG_IGN)
        defer { _ = signal(SIGUSR2, before) }
        let lines = Lines()
        let child = try ChildProcess(
            "sh", ["-c", "grep SigIgn /proc/self/status; exec sleep 60"], output: .lines(lines.append))
        #expect(getpgid(child.pid) == child.pid)
        try await eventually("a line comes") { lines.all.count == 1 }
        let mask = try #require(lines.all.first?.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
        #expect(mask & (1 << UInt64(SIGUSR2 - 1)) == 0)
        await child.terminate()
    }

    @Test func `a child inherits no other descriptor`() async throws {
        let inheritable = dup(STDOUT_FILENO)
        defer { close(inheritable) }
        let output = try await ChildProcess.run("sh", ["-c", "exec ls /proc/self/fd"])
        // 3 is the directory that ls itself reads.
        #expect(output.split(separator: "\n") == ["0", "1", "2", "3"])
    }

    @Test func `dropping the last reference ends the child`() async throws {
        var child: ChildProcess? = try ChildProcess("sleep", ["60"])
        let pid = try #require(child?.pid)
        #expect(isAlive(pid))
        child = nil
        try await eventually("the child dies") { !isAlive(pid) }
    }

    @Test func `a child outlives the threads that come and go around it`() async throws {
        let started = Mutex<ChildProcess?>(nil)
        await withCheckedContinuation { continuation in
            Thread {
                started.withLock { $0 = try? ChildProcess("sleep", ["60"]) }
                continuation.resume()
            }.start()
        }
        let child = try #require(started.withLock { $0 })
        #expect(await child.wait(.milliseconds(200)) == nil)
        await child.terminate()
    }

    @Test(.enabled(if: geteuid() == 0, "only root can start a program as another user"))
    func `a child can run as another user`() async throws {
        #expect(try await ChildProcess.run("id", ["-un"], user: "nobody") == "nobody")
    }
}
