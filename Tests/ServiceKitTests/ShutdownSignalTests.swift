import Synchronization
import TestSupport
import Testing

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct ShutdownSignalTests {
    @Test func `handlers run once at the first request, in their order`() {
        let signal = ShutdownSignal()
        let calls = Mutex<[String]>([])
        signal.onRequest { calls.withLock { $0.append("first") } }
        signal.onRequest { calls.withLock { $0.append("second") } }
        #expect(!signal.isRequested)
        #expect(calls.withLock { $0 } == [])
        signal.request()
        signal.request()
        #expect(signal.isRequested)
        #expect(calls.withLock { $0 } == ["first", "second"])
    }

    @Test func `a late handler runs at once`() {
        let signal = ShutdownSignal()
        signal.request()
        let calls = Atomic(0)
        signal.onRequest { calls.add(1, ordering: .relaxed) }
        #expect(calls.load(ordering: .relaxed) == 1)
        signal.request()
        #expect(calls.load(ordering: .relaxed) == 1)
    }

    @Test func `a handler sees the request, and may add another and ask again`() {
        let signal = ShutdownSignal()
        let calls = Atomic(0)
        signal.onRequest {
            #expect(signal.isRequested)
            signal.request()
            signal.onRequest { calls.add(1, ordering: .relaxed) }
        }
        signal.request()
        #expect(calls.load(ordering: .relaxed) == 1)
    }

    @Test func `every handler runs exactly once however adding and asking race`() async {
        for _ in 0..<200 {
            let signal = ShutdownSignal()
            let calls = ConditionLock([Int](repeating: 0, count: 60))
            await onThreads(8) { thread in
                if thread < 2 { return signal.request() }
                for index in (thread - 2) * 10..<(thread - 1) * 10 {
                    signal.onRequest { calls.withLock { $0[index] += 1 } }
                }
            }
            #expect(calls.withLock { $0 }.allSatisfy { $0 == 1 })
        }
    }

    @Test func `who waits goes on at the request, or when the time is over`() async throws {
        let signal = ShutdownSignal()
        #expect(!signal.wait(for: .milliseconds(1)))
        let waiting = Task.detached { try await onThread { signal.wait() } }
        signal.request()
        try await waiting.value
        #expect(signal.wait(for: .seconds(600)))
    }
}
