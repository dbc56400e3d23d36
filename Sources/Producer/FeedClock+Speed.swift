import Glibc
import ServiceKit
import TradeModel
import WebSocket

extension FeedClock {
    /// What makes the program's clock.
    ///
    /// In a debug build, and in no other, the environment can have it run faster than time, and what the client waits for
    /// with it: so that a test of the program sees what takes minutes.
    static func ofProgram(
        _ client: inout WebSocketClientConfiguration, _ logger: Logger
    ) -> @Sendable () -> FeedClock {
        #if DEBUG
            if let text = getenv("TICKSTREAM_FEED_CLOCK_SPEED"), let speed = Int(String(cString: text)), speed > 1 {
                let start = (instant: ContinuousClock.now, time: Timestamp.now())
                logger.warning(
                    "the feed's clock runs faster than time, for a test",
                    ["clock.speed": speed, "clock.since": start.time])
                client.idleTimeout = client.idleTimeout.map { $0 / speed }
                // Two programs have to come to it, however fast the clock runs.
                client.handshakeTimeout = max(client.handshakeTimeout / speed, .seconds(5))
                return { FeedClock(speed: speed, since: start.instant, start.time) }
            }
        #endif
        return { FeedClock() }
    }

    #if DEBUG
        private init(speed: Int, since instant: ContinuousClock.Instant, _ time: Timestamp) {
            let passed = { (ContinuousClock.now - instant) * speed }
            wall = { Timestamp(microseconds: time.microseconds + Int64(passed() / .microseconds(1))) }
            monotonic = { instant + passed() }
            timer = { $0 / speed }
        }
    #endif
}
