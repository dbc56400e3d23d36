import ServiceKit
import TradeModel

/// Now, on both clocks: the steady one for pace, the wall's for what the trades say.
struct Moment {
    let instant: ContinuousClock.Instant
    let time: Timestamp

    static func now() -> Moment {
        Moment(instant: .now, time: .now())
    }
}
