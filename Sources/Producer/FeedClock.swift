import ServiceKit
import TradeModel

/// The clocks and the chance that the connection to the feed goes by; a test brings its own.
struct FeedClock {
    /// The wall clock, for what is written down.
    var wall: () -> Timestamp = { .now() }
    /// A clock that never goes back, for how long things last.
    var monotonic: () -> ContinuousClock.Instant = { .now }
    /// A number from 0 up to 1.
    var random: () -> Double = { .random(in: 0..<1) }
    /// How long a timer has to run for so much of this clock's time to pass.
    var timer: (Duration) -> Duration = { $0 }
}
