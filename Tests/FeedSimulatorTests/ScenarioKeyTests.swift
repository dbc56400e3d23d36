import TestSupport
import Testing

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioKeyTests {
    @Test func `The newest connection with a key wins`() async throws {
        try await withScenario(file: "key-newest-wins") { run in
            let (first, other, second) = try Self.threeClients(run)
            #expect(try first.frames().allSatisfy { $0.opcode == 1 })
            #expect(first.end == .endOfStream)
            #expect(try run.end(ofConnection: 1) == "ended by connection 3")
            _ = try (other.trades(), second.trades())
        }
    }

    @Test func `A second connection with a key closes both`() async throws {
        try await withScenario(file: "key-close-both") { run in
            let (first, other, second) = try Self.threeClients(run)
            #expect(try first.frames().allSatisfy { $0.opcode == 1 })
            #expect(try second.frames().isEmpty)
            #expect(first.end == .endOfStream && second.end == .endOfStream)
            _ = try other.trades()
            second.close()
            try WireClient(run.address).open("AAPL")
        }
    }

    @Test func `A second connection with a key is refused while the first is open`() async throws {
        try await withScenario(file: "key-refuse") { run in
            let first = try WireClient(run.address)
            try first.open("AAPL")
            let second = try WireClient(run.address)
            second.request()
            #expect(try second.head()?.hasPrefix("HTTP/1.1 429 ") == true)
            _ = try first.trades()
            first.close()
            _ = try run.end(ofConnection: 1)
            try WireClient(run.address).open("AAPL")
        }
    }

    @Test func `A key is refused for a time after its connection`() async throws {
        try await withScenario(file: "key-429-for-a-time") { run in
            let client = try WireClient(run.address)
            try client.open("AAPL")
            _ = try client.frames()
            let start = ContinuousClock.now
            var refusals = 0
            try eventually("the key is accepted again", within: hangLimit) {
                let client = try WireClient(run.address)
                client.request()
                let head = try #require(try client.head())
                if head.hasPrefix("HTTP/1.1 429 ") { refusals += 1 }
                return head.hasPrefix("HTTP/1.1 101 ")
            }
            #expect(refusals > 1)
            #expect(ContinuousClock.now - start > .seconds(2.9))
        }
    }

    /// One with a key, one with another key, and a second one with the first key.
    private static func threeClients(_ run: ScenarioRun) throws -> (WireClient, WireClient, WireClient) {
        let first = try WireClient(run.address)
        try first.open("AAPL")
        _ = try first.trades()
        let other = try WireClient(run.address)
        try other.open("AAPL", token: "another")
        _ = try other.trades()
        let second = try WireClient(run.address)
        try second.open("AAPL")
        return (first, other, second)
    }
}
