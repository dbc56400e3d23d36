import Synchronization
import Testing

@testable import ServiceKit

struct HealthTests {
    @Test func `a program without conditions is ready`() {
        #expect(Health().problems == [])
    }

    @Test func `problems are told in order and go when they are mended`() {
        let health = Health()
        let isConnected = Mutex(false)
        health.require("feed") { isConnected.withLock { $0 } ? nil : "not connected" }
        health.require("kafka") { nil }
        health.require("postgres") { "no route to host" }
        #expect(health.problems == ["feed: not connected", "postgres: no route to host"])
        isConnected.withLock { $0 = true }
        #expect(health.problems == ["postgres: no route to host"])
    }

    @Test func `a problem keeps to one line`() {
        let health = Health()
        health.require("postgres") { "FATAL: no\r\nHINT: yes\n" }
        #expect(health.problems == ["postgres: FATAL: no HINT: yes"])
    }

    @Test func `a condition may ask about health itself`() {
        let health = Health()
        health.require("all") { [weak health] in
            health?.require("late") { nil }
            return nil
        }
        #expect(health.problems == [])
    }
}
