/// A campaign about the way from the feed into the topic, whose feed writes down what it sends.
protocol FeedCampaign: Campaign {
    /// Trades a second.
    var rate: Int { get }

    /// Breaks what it is about, in the middle of the stream.
    /// - Returns: what it has to say of that, as words of the closing line.
    func disturb(_ pipeline: CampaignPipeline) async throws -> String
}

extension FeedCampaign {
    /// - Returns: whether nothing was lost, doubled or left without a gap on record.
    func run() async throws -> Bool {
        let pipeline = try await CampaignPipeline.start(rate: rate)
        do {
            let start = ContinuousClock.now
            let words = try await disturb(pipeline)
            let seconds = (ContinuousClock.now - start).components.seconds
            let proof = try await pipeline.prove()
            await pipeline.stop()
            print("\(words) seconds=\(seconds) rate=\(rate) \(proof)")
            return proof.holds
        } catch {
            await pipeline.stop()
            throw error
        }
    }
}
