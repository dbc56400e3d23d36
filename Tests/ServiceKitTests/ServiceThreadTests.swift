import Foundation
import Testing

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct ServiceThreadTests {
    @Test(arguments: [("feed", "feed"), ("a-name-of-23-characters", "a-name-of-23-ch")])
    func `the thread runs the body and carries the name`(name: String, shown: String) async {
        let seen = await withCheckedContinuation { continuation in
            ServiceThread.start(name) {
                continuation.resume(returning: try? readTextFile("/proc/thread-self/comm"))
            }
        }
        #expect(seen == shown + "\n")
    }
}
