import ServiceKit

/// The connections that there are, as far as one may end another, and what the scenario remembers from one to the next.
///
/// Thread-safe: every connection's thread uses it.
final class ScenarioClients: Sendable {
    private struct Client {
        let descriptor: Int32
        /// The token that it was accepted with; nil while it is not open.
        var token: String?
        /// Why it was ended from outside.
        var end: ConnectionEnd?
    }

    private struct State {
        var clients: [Int: Client] = [:]
        var isStopping = false
        /// When a step was first met, by its line.
        var firstTimes: [Int: ContinuousClock.Instant] = [:]
    }

    private let state = ConditionLock(State())

    /// Takes a connection in; false when the server stops.
    func add(_ number: Int, _ descriptor: Int32) -> Bool {
        state.withLock { state in
            if !state.isStopping { state.clients[number] = Client(descriptor: descriptor) }
            return !state.isStopping
        }
    }

    /// Opens a connection, and ends others that are open with its token where the policy says so. One that the policy
    /// refuses is not open.
    /// - Returns: whether there was no other.
    func open(_ number: Int, token: String, _ policy: ScenarioStep.KeyPolicy?) -> Bool {
        state.withLock { state in
            let others = state.clients.filter { $0.value.token == token }.keys
            switch policy {
            case .refuse where !others.isEmpty: return false
            case .newestWins, .closeBoth:
                for other in others { Self.end(&state.clients[other], ConnectionEnd("ended by connection \(number)")) }
            case .refuse, nil: break
            }
            state.clients[number]?.token = token
            return others.isEmpty
        }
    }

    /// Takes a connection out, before its descriptor is closed; returns why it was ended from outside, if it was.
    func remove(_ number: Int) -> ConnectionEnd? {
        state.withLock { $0.clients.removeValue(forKey: number)?.end }
    }

    /// Ends all connections, and waits a moment for their threads.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            for number in state.clients.keys { Self.end(&state.clients[number], ConnectionEnd("the server stops")) }
        }
        _ = state.wait(for: .seconds(5)) { $0.clients.isEmpty ? true : nil }
    }

    /// How long ago the step in a line was first met.
    func age(ofLine number: Int, at now: ContinuousClock.Instant) -> Duration {
        state.withLock { state in
            let first = state.firstTimes[number] ?? now
            state.firstTimes[number] = first
            return now - first
        }
    }

    private static func end(_ client: inout Client?, _ reason: ConnectionEnd) {
        guard let descriptor = client?.descriptor, client?.end == nil else { return }
        client?.end = reason
        client?.token = nil
        ClientSocket.shutDown(descriptor)
    }
}
