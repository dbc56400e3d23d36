import TestSupport
import Testing
import TradeModel

@testable import KPIService

struct AlertStateMachineTests {
    private static func reading(_ value: Int, limit: Int, closesAt: Int) -> AlertReading {
        AlertReading(value: "\(value)", exceeds: value > limit, clears: value <= closesAt)
    }

    /// Plays values, one a second; answers for each second whether an alert is open.
    private static func play(_ values: [Int], _ rule: AlertRule, limit: Int, closesAt: Int) -> [Bool] {
        var standing: AlertStanding?
        return values.enumerated().map { second, value in
            let now = Timestamp(microseconds: Int64(second) * 1_000_000)
            let reading = reading(value, limit: limit, closesAt: closesAt)
            switch AlertStateMachine.action(standing, reading, rule, at: now) {
            case .setPending(let since): standing = .pending(since: since)
            case .setClear(let since): standing = .open(clearSince: since)
            case .open: standing = .open(clearSince: nil)
            case .close, .forget: standing = nil
            case nil: break
            }
            if case .open = standing { return true } else { return false }
        }
    }

    /// The same by the words of the documentation, from the whole history at each second.
    private static func model(
        _ values: [Int], limit: Int, closesAt: Int, openAfter: Int, closeAfter: Int
    ) -> [Bool] {
        var isOpen = false
        var changed = 0
        return values.indices.map { second in
            let condition: (Int) -> Bool = isOpen ? { $0 <= closesAt } : { $0 > limit }
            let held = values[changed...second].reversed().prefix(while: condition).count
            if held > (isOpen ? closeAfter : openAfter) {
                isOpen.toggle()
                changed = second + 1
            }
            return isOpen
        }
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func `random values open and close as the documentation says`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let limit = Int.random(in: 0...8, using: &random)
        let closesAt = Int.random(in: 0...limit, using: &random)
        let (openAfter, closeAfter) = (Int.random(in: 0...4, using: &random), Int.random(in: 0...4, using: &random))
        let values = (0..<400).map { _ in Int.random(in: 0...10, using: &random) }
        let rule = AlertRule(
            id: 1, kind: .rejected, openAfter: .seconds(openAfter), closeAfter: .seconds(closeAfter))
        #expect(
            Self.play(values, rule, limit: limit, closesAt: closesAt)
                == Self.model(
                    values, limit: limit, closesAt: closesAt, openAfter: openAfter, closeAfter: closeAfter))
    }

    @Test func `a value that swings around the limit opens one alert and closes none`() {
        let rule = AlertRule(id: 1, kind: .rejected)
        let open = Self.play((0..<100).map { 10 + $0 % 2 }, rule, limit: 10, closesAt: 9)
        #expect(open == [false] + Array(repeating: true, count: 99))
    }

    @Test func `a clock that is set back costs what was counted, and no more`() {
        let rule = AlertRule(id: 1, kind: .rejected, openAfter: .seconds(5), closeAfter: .seconds(5))
        let (exceeding, clear) = (Self.reading(2, limit: 1, closesAt: 1), Self.reading(0, limit: 1, closesAt: 1))
        let (now, later) = (Timestamp(microseconds: 1_000_000), Timestamp(microseconds: 9_000_000))
        #expect(AlertStateMachine.action(.pending(since: later), exceeding, rule, at: now) == .setPending(since: now))
        #expect(AlertStateMachine.action(.open(clearSince: later), clear, rule, at: now) == .setClear(since: now))
        #expect(AlertStateMachine.action(.pending(since: now), exceeding, rule, at: later) == .open(since: now))
        #expect(AlertStateMachine.action(.open(clearSince: now), clear, rule, at: later) == .close)
    }

    @Test func `what was closed by hand opens again only after its condition was over`() {
        let rule = AlertRule(id: 1, kind: .rejected)
        let (exceeding, between, clear) = (
            Self.reading(9, limit: 5, closesAt: 2), Self.reading(4, limit: 5, closesAt: 2),
            Self.reading(2, limit: 5, closesAt: 2)
        )
        #expect(AlertStateMachine.action(.dismissed, exceeding, rule, at: AlertRehearsal.start) == nil)
        #expect(AlertStateMachine.action(.dismissed, between, rule, at: AlertRehearsal.start) == nil)
        #expect(AlertStateMachine.action(.dismissed, clear, rule, at: AlertRehearsal.start) == .forget)
    }
}
