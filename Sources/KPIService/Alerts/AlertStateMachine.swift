import TradeModel

/// What is known of a rule and symbol from before; it stands in the database.
enum AlertStanding: Equatable {
    /// The limit has been passed since then, and not for long enough yet.
    case pending(since: Timestamp)
    /// Somebody closed the alert although the measure had not come back: until it has, no other one opens.
    case dismissed
    /// There is an alert; the measure has come back since then, if it has.
    case open(clearSince: Timestamp?)
}

/// What the measure of a rule and symbol says; between limit and closing value it says neither.
struct AlertReading: Equatable {
    /// For people; nil when there was nothing to measure.
    var value: String?
    var exceeds: Bool
    var clears: Bool

    /// Of a symbol that there is nothing to say about.
    static let nothing = AlertReading(value: nil, exceeds: false, clears: true)
}

/// What is to be changed in the database.
enum AlertAction: Equatable {
    case setPending(since: Timestamp)
    case forget
    case open(since: Timestamp)
    case setClear(since: Timestamp?)
    case close
}

/// Opens and closes by two limits and two times, so that a value that swings around one limit does neither.
enum AlertStateMachine {
    /// What follows from a measurement; nil when nothing changes.
    static func action(
        _ standing: AlertStanding?, _ reading: AlertReading, _ rule: AlertRule, at now: Timestamp
    ) -> AlertAction? {
        switch standing {
        case nil:
            guard reading.exceeds else { return nil }
            return rule.openAfter == .zero ? .open(since: now) : .setPending(since: now)
        case .pending(let since):
            guard reading.exceeds else { return .forget }
            // A clock that was set back costs no more than the time counted so far.
            guard since <= now else { return .setPending(since: now) }
            return since.duration(to: now) >= rule.openAfter ? .open(since: since) : nil
        case .dismissed:
            return reading.clears ? .forget : nil
        case .open(let clearSince):
            guard reading.clears else { return clearSince == nil ? nil : .setClear(since: nil) }
            guard let clearSince, clearSince <= now else {
                return rule.closeAfter == .zero ? .close : .setClear(since: now)
            }
            return clearSince.duration(to: now) >= rule.closeAfter ? .close : nil
        }
    }
}

extension Timestamp {
    fileprivate func duration(to later: Timestamp) -> Duration {
        .microseconds(later.microseconds - microseconds)
    }
}
