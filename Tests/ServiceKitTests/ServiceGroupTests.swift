import Foundation
import TestSupport
import Testing

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct ServiceGroupTests {
    private struct Failure: Error, Equatable {
        let name: String
    }

    /// A service whose run is the closure.
    private struct TestService: Service {
        let name: String
        let body: @Sendable (ShutdownSignal) throws -> Void
        func run(until shutdown: ShutdownSignal) throws { try body(shutdown) }
    }

    /// What happened, in order.
    private typealias Events = ConditionLock<[String]>

    /// A service that runs until it is asked to stop, and tells when it runs, is asked and ends.
    private static func patient(_ name: String, _ events: Events, failing: Bool = false) -> TestService {
        TestService(name: name) { shutdown in
            let asked = ConditionLock(false)
            shutdown.onRequest {
                events.withLock { $0.append("\(name) asked") }
                asked.withLock { $0 = true }
            }
            events.withLock { $0.append("\(name) runs") }
            asked.wait { $0 ? () : nil }
            events.withLock { $0.append("\(name) ends") }
            if failing { throw Failure(name: "\(name) at its stop") }
        }
    }

    /// A service that ends, or fails, once the others run.
    private static func trigger(after others: Int, _ events: Events, failing: Bool = false) -> TestService {
        TestService(name: "trigger") { _ in
            events.wait { $0.count { $0.hasSuffix(" runs") } == others ? () : nil }
            if failing { throw Failure(name: "trigger") }
        }
    }

    private static func run(
        _ services: [TestService], log: ConditionLock<[String]> = ConditionLock([])
    ) async throws {
        let logger = Logger(label: "test") { line in log.withLock { $0.append(line) } }
        try await onThread { try ServiceGroup(services, logger: logger, stopDeadline: hangLimit).run() }
    }

    @Test func `a service that ends stops the rest, one after the other in reverse order`() async throws {
        let events = Events([])
        let log = ConditionLock<[String]>([])
        let others = ["a", "b", "c"].map { Self.patient($0, events) }
        try await Self.run(others + [Self.trigger(after: 3, events)], log: log)
        #expect(Set(events.withLock { $0.prefix(3) }) == ["a runs", "b runs", "c runs"])
        #expect(
            events.withLock { Array($0.dropFirst(3)) }
                == ["c asked", "c ends", "b asked", "b ends", "a asked", "a ends"])
        let lines = log.withLock { $0 }
        #expect(lines.count == 2)
        #expect(lines[0].hasSuffix("info test: stopping reason=\"trigger has ended\"\n"))
        #expect(lines[1].hasSuffix("info test: stopped\n"))
    }

    @Test func `a service that fails stops the rest, and its error is thrown`() async throws {
        let events = Events([])
        let log = ConditionLock<[String]>([])
        let services = [Self.patient("a", events), Self.trigger(after: 2, events, failing: true)]
        await #expect(throws: Failure(name: "trigger")) {
            try await Self.run(services + [Self.patient("b", events)], log: log)
        }
        #expect(events.withLock { Array($0.suffix(4)) } == ["b asked", "b ends", "a asked", "a ends"])
        let text = log.withLock { $0.joined() }
        #expect(!text.contains("error test:"), "the error is thrown, so its catcher logs it")
        #expect(text.contains("reason=\"trigger has failed\""))
    }

    @Test func `of several errors the first is thrown, and the others are logged`() async throws {
        let events = Events([])
        let log = ConditionLock<[String]>([])
        let services = [Self.patient("a", events, failing: true), Self.trigger(after: 1, events, failing: true)]
        await #expect(throws: Failure(name: "trigger")) { try await Self.run(services, log: log) }
        let text = log.withLock { $0.joined() }
        #expect(
            text.contains("error test: another service has failed service=a ") && !text.contains("service=trigger "))
    }

    @Test func `a service that fails at its stop fails the group`() async throws {
        let events = Events([])
        let services = [Self.patient("a", events, failing: true), Self.trigger(after: 1, events)]
        await #expect(throws: Failure(name: "a at its stop")) { try await Self.run(services) }
        #expect(events.withLock { $0 } == ["a runs", "a asked", "a ends"])
    }

    @Test func `services that all end by themselves end the group`() async throws {
        try await Self.run((0..<8).map { TestService(name: "\($0)") { _ in } })
    }

    @Test func `a service that misses its deadline ends the process, and the log names it`() async throws {
        let result = try await #require(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
            let deaf = TestService(name: "deaf") { _ in while true { pause() } }
            let group = ServiceGroup(
                [deaf, TestService(name: "done") { _ in }], logger: Logger(label: "test"),
                stopDeadline: .milliseconds(50))
            try await onThread { try group.run() }
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("a service did not stop in time; the process ends without it service=deaf"))
    }
}
