import Synchronization
import TestSupport
import Testing

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct PacemakerTests {
    @Test func `It ticks while it is told to and ends at the stop`() async throws {
        let pacemaker = Pacemaker()
        let ticks = Mutex(0)
        let thread = ServerThread {
            pacemaker.run(every: .milliseconds(1)) { ticks.withLock { $0 += 1 } }
        }
        pacemaker.set(isTicking: true)
        try await eventually("it ticks") { ticks.withLock { $0 } >= 3 }
        pacemaker.stop()
        try await thread.join()
        #expect(pacemaker.isStopped)
    }

    @Test func `A stop before the start is a stop`() async throws {
        let pacemaker = Pacemaker()
        pacemaker.stop()
        pacemaker.set(isTicking: true)
        pacemaker.run(every: .seconds(3600)) { Issue.record("it ticked") }
    }
}
