/// What `make kills` is asked for, in the environment.
struct KillOptions: Sendable {
    /// How many processes are killed: producer and broker in turn.
    let kills: Int
    /// Trades a second.
    let rate: Int
    let seed: UInt64

    init(_ environment: [String: String]) throws(CampaignError) {
        func number(_ name: String, _ usual: Int) throws(CampaignError) -> Int {
            guard let text = environment[name], !text.isEmpty else { return usual }
            guard let number = Int(text), number > 0 else {
                throw CampaignError("\(name) must be a whole number above 0, not '\(text)'")
            }
            return number
        }
        kills = try number("KILLS", 100)
        rate = try number("RATE", 5000)
        seed = UInt64(try number("SEED", 1))
    }
}
