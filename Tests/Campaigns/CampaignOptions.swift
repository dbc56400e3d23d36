/// What a campaign is asked for, in the environment.
struct CampaignOptions: Sendable {
    /// How many processes are killed: producer and broker in turn.
    let kills: Int
    /// How long Kafka is away, in seconds.
    let outage: Int
    /// How long readers, database and broker are broken, in seconds.
    let seconds: Int
    /// Trades a second; nil is the campaign's own choice.
    let rate: Int?
    let seed: UInt64

    init(_ environment: [String: String]) throws(CampaignError) {
        func number(_ name: String) throws(CampaignError) -> Int? {
            guard let text = environment[name], !text.isEmpty else { return nil }
            guard let number = Int(text), number > 0 else {
                throw CampaignError("\(name) must be a whole number above 0, not '\(text)'")
            }
            return number
        }
        kills = try number("KILLS") ?? 100
        outage = try number("OUTAGE") ?? 600
        seconds = try number("SECONDS") ?? 180
        rate = try number("RATE")
        seed = UInt64(try number("SEED") ?? 1)
    }
}
