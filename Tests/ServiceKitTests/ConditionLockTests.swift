import Foundation
import TestSupport
import Testing

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct ConditionLockTests {
    @Test func `changes of many threads are all kept`() async {
        let lock = ConditionLock(0)
        await onThreads(8) { _ in
            for _ in 0..<5000 { lock.withLock { $0 += 1 } }
        }
        #expect(lock.withLock { $0 } == 40_000)
    }

    @Test func `a body that throws releases the lock`() {
        struct Stop: Error {}
        let lock = ConditionLock(1)
        #expect(throws: Stop.self) { try lock.withLock { (_: inout Int) throws(Stop) in throw Stop() } }
        #expect(lock.wait(for: .zero) { $0 } == 1)
    }

    @Test func `one who waits wakes up at a change`() async throws {
        let lock = ConditionLock(0)
        async let woken = onThread { lock.wait { $0 == 3 ? "three" : nil } }
        async let wokenInTime = onThread { lock.wait(for: hangLimit) { $0 == 3 ? "three" : nil } }
        await onThreads(3) { _ in lock.withLock { $0 += 1 } }
        #expect(try await woken == "three")
        #expect(try await wokenInTime == "three")
    }

    @Test func `a hand-over between threads through waits alone comes through in order`() async {
        // Each side's wait changes the state, so each must wake the other without any call of withLock.
        let lock = ConditionLock<Int?>(nil)
        let taken = ConditionLock<[Int]>([])
        await onThreads(2) { thread in
            for number in 0..<2000 {
                if thread == 0 {
                    let given: Bool? = lock.wait(for: hangLimit) { slot in
                        guard slot == nil else { return nil }
                        slot = number
                        return true
                    }
                    if given == nil { return }
                } else {
                    guard let value = lock.wait(for: hangLimit, { $0.take() }) else { return }
                    taken.withLock { $0.append(value) }
                }
            }
        }
        #expect(taken.withLock { $0 } == Array(0..<2000))
    }

    @Test func `what is answered at the deadline itself wakes the others too`() async throws {
        let lock = ConditionLock((token: false, calls: 0))
        async let other = onThread { lock.wait(for: hangLimit) { $0.token ? true : nil } }
        let answered = try await onThread {
            // Answers on its second call, which is the one after the deadline.
            lock.wait(for: .milliseconds(20)) { state -> Bool? in
                state.calls += 1
                guard state.calls > 1 else { return nil }
                state.token = true
                return true
            }
        }
        #expect(answered == true)
        #expect(try await other == true)
    }

    @Test func `a wait ends at its deadline, not before`() async throws {
        let lock = ConditionLock(0)
        let took = try await onThread {
            ContinuousClock().measure {
                let nothing: Int? = lock.wait(for: .milliseconds(50)) { _ in nil }
                #expect(nothing == nil)
            }
        }
        #expect(took >= .milliseconds(50) && took < hangLimit)
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .nanoseconds(-1), .seconds(Int64.min)])
    func `a deadline that has passed asks once more and ends`(duration: Duration) async throws {
        let lock = ConditionLock(7)
        let nothing = try await onThread { lock.wait(for: duration) { _ -> Int? in nil } }
        #expect(nothing == nil)
        #expect(lock.wait(for: duration) { $0 } == 7)
    }

    @Test func `the longest duration is no overflow`() {
        #expect(ConditionLock(7).wait(for: .seconds(Int64.max)) { $0 } == 7)
    }
}
