import Testing
import WebSocket

@testable import Producer

@Suite struct KeyContentionTests {
    private let start = ContinuousClock.now
    private let lost = WebSocketClosure.Cause.connectionLost

    @Test func `three short connections in a row raise the suspicion, once`() {
        var contention = KeyContention()
        let found = (0..<6).map { contention.ended(lost, openFor: .seconds(29), at: start + .seconds($0 * 40)) }
        #expect(found == [false, false, true, false, false, false])
        #expect(contention.isSuspected)
    }

    @Test func `a connection that lived, or that this side ended, begins the count anew`() {
        for (cause, openFor) in [
            (lost, Duration.seconds(30)), (.idle(.seconds(10)), .seconds(10)), (.binaryFrame, .seconds(1)),
            (.closedByClient(code: 1000), .seconds(1)),
        ] as [(WebSocketClosure.Cause, Duration)] {
            var contention = KeyContention()
            for round in 0..<10 {
                for short in 0..<2 {
                    let isFound = contention.ended(lost, openFor: .seconds(1), at: start + .seconds(round * 10 + short))
                    #expect(!isFound, "\(cause)")
                }
                #expect(contention.ended(cause, openFor: openFor, at: start + .seconds(round * 10 + 5)) == false)
            }
        }
    }

    @Test func `drops that lie far apart are no contention`() {
        var contention = KeyContention()
        for number in 0..<20 {
            #expect(contention.ended(lost, openFor: .seconds(1), at: start + .seconds(number * 151)) == false)
        }
        #expect(contention.ended(lost, openFor: .seconds(1), at: start + .seconds(19 * 151 + 1)) == true)
    }

    @Test func `an episode ends with a connection that lives longer than another client stays away`() {
        var contention = KeyContention()
        for second in 0..<3 { _ = contention.ended(lost, openFor: .zero, at: start + .seconds(second)) }
        #expect(contention.lives(for: .seconds(599)) == false)
        #expect(contention.ended(lost, openFor: .seconds(599), at: start + .seconds(700)) == false)
        #expect(contention.isSuspected)
        #expect(contention.lives(for: .seconds(600)) == true)
        #expect(!contention.isSuspected)
        #expect(contention.lives(for: .seconds(601)) == false)
        let found = (0..<3).map { contention.ended(lost, openFor: .zero, at: start + .seconds(2000 + $0)) }
        #expect(found == [false, false, true])
    }
}
