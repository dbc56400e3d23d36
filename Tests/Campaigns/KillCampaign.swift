import LocalServers
import TestSupport

/// Kills producer and broker in turn.
struct KillCampaign: FeedCampaign {
    let rate: Int
    private let kills: Int
    private let seed: UInt64

    init(_ options: CampaignOptions) {
        rate = options.rate ?? 5000
        kills = options.kills
        seed = options.seed
    }

    func disturb(_ pipeline: CampaignPipeline) async throws -> String {
        var random = SplitMix64(seed: seed)
        func pause(_ milliseconds: ClosedRange<Int>) async throws {
            try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
        }
        for kill in 1...kills {
            try await pause(200...2000)
            if kill.isMultiple(of: 2) {
                await pipeline.kafka.kill()
                try await pause(0...1000)
                try await pipeline.kafka.start()
            } else {
                try await pipeline.killProducer()
            }
            if kill.isMultiple(of: 10) { print("\(kill) of \(kills) are killed") }
        }
        try await pause(2000...2000)
        return "kills=\(kills)"
    }
}
