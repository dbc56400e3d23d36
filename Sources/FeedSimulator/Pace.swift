/// How many trades are due: the rate times the time that has passed, less those already sent.
struct Pace {
    /// Trades a second.
    let rate: Int
    private let start: ContinuousClock.Instant
    private var taken = 0

    init(rate: Int, from start: ContinuousClock.Instant) {
        self.rate = rate
        self.start = start
    }

    /// How many are due at a moment. Whoever is slow finds them due later, all of them.
    func due(at now: ContinuousClock.Instant) -> Int {
        let (seconds, attoseconds) = (now - start).components
        // In two parts, so that no run is long enough to overflow.
        return Int(seconds) * rate + Int(attoseconds / 1_000_000_000) * rate / 1_000_000_000 - taken
    }

    /// Notes that some of them are sent.
    mutating func take(_ count: Int) {
        taken += count
    }
}
