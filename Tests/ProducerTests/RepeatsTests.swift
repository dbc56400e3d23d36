import Testing
import TradeModel

@testable import Producer

/// What the producer remembers of trades that it has seen.
struct RepeatsTests {
    private func trade(
        _ symbol: String = "AAPL", price: String = "317.775", volume: String = "200",
        milliseconds: Int64 = 1_787_924_136_086
    ) throws -> Trade {
        Trade(
            symbol: try #require(ShortText(symbol)), price: try #require(Decimal(price)),
            volume: try #require(Decimal(volume)), time: Timestamp(milliseconds: milliseconds), conditions: .empty)
    }

    private func count(_ repeats: inout Repeats, _ trade: Trade, _ conditions: String = "", at now: Int64) -> Int32 {
        Array(conditions.utf8).withUnsafeBytes { repeats.count(trade, conditions: $0, now: now) }
    }

    @Test func `the second and third of identical trades say how many came before`() throws {
        var repeats = Repeats()
        let trade = try trade()
        #expect((0..<4).map { count(&repeats, trade, #"["1"]"#, at: $0) } == [0, 1, 2, 3])
    }

    @Test func `a trade that differs in any field is no repeat`() throws {
        var repeats = Repeats()
        let original = try trade()
        #expect(count(&repeats, original, #"["1"]"#, at: 0) == 0)
        let others = [
            try trade("AAPM"), try trade(price: "317.7750"), try trade(volume: "201"), try trade(milliseconds: 1),
        ]
        for other in others { #expect(count(&repeats, other, #"["1"]"#, at: 1) == 0) }
        for conditions in ["", #"["2"]"#, #"["1","1"]"#, #"["1" ]"#] {
            #expect(count(&repeats, original, conditions, at: 1) == 0)
        }
        #expect(count(&repeats, original, #"["1"]"#, at: 2) == 1)
    }

    @Test func `a trade is forgotten 120 s after it was seen last, and not before`() throws {
        var repeats = Repeats()
        let trade = try trade()
        #expect(count(&repeats, trade, at: 0) == 0)
        #expect(count(&repeats, trade, at: 120_000) == 1)
        #expect(count(&repeats, trade, at: 240_000) == 2)
        #expect(count(&repeats, trade, at: 360_001) == 0)
        #expect(count(&repeats, trade, at: 360_002) == 1)
    }

    @Test func `a full memory forgets the oldest, says so, and keeps its size`() throws {
        var repeats = Repeats(capacity: 64)
        for index in 0..<1000 {
            #expect(count(&repeats, try trade(milliseconds: Int64(index)), at: Int64(index)) == 0)
        }
        #expect(repeats.forgotten >= 1000 - 64)
        #expect(count(&repeats, try trade(milliseconds: 999), at: 1000) == 1)
    }

    @Test func `what is past its time makes room without being counted as forgotten`() throws {
        var repeats = Repeats(capacity: 64)
        for round in 0..<100 {
            for index in 0..<4 {
                let trade = try trade(milliseconds: Int64(round * 4 + index))
                #expect(count(&repeats, trade, at: Int64(round) * 121_000) == 0)
            }
        }
        #expect(repeats.forgotten == 0)
    }

    @Test func `a hundred thousand different trades are told apart`() throws {
        var repeats = Repeats(capacity: 1 << 20)
        var marked = 0
        for index in 0..<100_000 {
            let trade = try trade(price: "\(1 + index % 317).\(index)", volume: "\(index % 7)")
            if count(&repeats, trade, at: Int64(index / 1000)) > 0 { marked += 1 }
        }
        #expect(marked == 0)
        #expect(repeats.forgotten == 0)
    }
}
