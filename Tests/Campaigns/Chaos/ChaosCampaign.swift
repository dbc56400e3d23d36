import TestSupport

/// Kills, freezes and cuts off readers, and restarts database and broker, in random order while trades stream; at the end
/// each trade that Kafka has acknowledged must be stored once, and counted once.
struct ChaosCampaign: Campaign {
    private let rate: Int
    private let seconds: Int
    private let seed: UInt64

    init(_ options: CampaignOptions) {
        rate = options.rate ?? 4000
        seconds = options.seconds
        seed = options.seed
    }

    func run() async throws -> Bool {
        let pipeline = try await ChaosPipeline.start(rate: rate)
        do {
            let faults = try await disturb(pipeline)
            let proof = try await pipeline.prove()
            await pipeline.stop()
            let fenced = try await pipeline.readers.fencedCount()
            let exits = await pipeline.readers.exits
            let total = faults.values.reduce(0, +)
            print(Fault.allCases.map { "\($0)=\(faults[$0, default: 0])" }.joined(separator: " "))
            print(
                "faults=\(total) \(proof) fenced=\(fenced) exits=\(exits) seconds=\(seconds) rate=\(rate) seed=\(seed)")
            let missing = Fault.allCases.filter { faults[$0] == nil }
            if seconds >= 60, !missing.isEmpty {
                print("this proves too little: there was no \(missing.map(\.rawValue).joined(separator: ", "))")
                return false
            }
            return proof.holds
        } catch {
            await pipeline.stop()
            throw error
        }
    }

    /// - Returns: how many faults of each kind there were.
    private func disturb(_ pipeline: ChaosPipeline) async throws -> [Fault: Int] {
        var random = SplitMix64(seed: seed)
        var counts: [Fault: Int] = [:]
        var next: [Fault] = []
        let start = ContinuousClock.now
        func wait(_ duration: Duration) async throws {
            let end = ContinuousClock.now + duration
            while ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(100))
                try await pipeline.readers.tend()
            }
        }
        try await wait(.seconds(5))
        while ContinuousClock.now - start < .seconds(seconds) {
            // All kinds come in turn, each time in another order; a freeze more often, since it fences only by chance.
            if next.isEmpty { next = (Fault.allCases + [.freeze]).shuffled(using: &random) }
            let fault = next.removeFirst()
            let passed = ContinuousClock.now - start
            if let whom = try await pipeline.inflict(fault, &random) {
                counts[fault, default: 0] += 1
                print("\(passed.components.seconds) s: \(fault) \(whom)")
            } else {
                next.append(fault)
            }
            try await wait(.milliseconds(300 + random.below(2000)))
        }
        return counts
    }
}
