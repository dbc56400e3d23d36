import ServiceKit
import Synchronization
import Testing
import TradeModel

@testable import Producer

@Suite struct FeedSymbolsTests {
    @Test func `a list has bounds, in number and in length`() {
        #expect(FeedSymbols.problem([])?.contains("at least one") == true)
        #expect(FeedSymbols.problem((1...1000).map { "S\($0)" }) == nil)
        #expect(FeedSymbols.problem((1...1001).map { "S\($0)" })?.contains("at most 1000") == true)
        #expect(FeedSymbols.problem([String(repeating: "x", count: 47), "IC MARKETS:1", "ü"]) == nil)
        #expect(FeedSymbols.problem(["A", String(repeating: "ü", count: 24)])?.contains("47 bytes") == true)
        #expect(FeedSymbols.problem(["A", "B\u{7}"])?.contains("control characters") == true)
    }

    private static func unique(_ symbols: [String]) -> (symbols: [String], lines: [String]) {
        let lines = Mutex<[String]>([])
        let unique = FeedSymbols.unique(symbols, Logger(label: "test") { line in lines.withLock { $0.append(line) } })
        return (unique.map(\.description), lines.withLock { $0 })
    }

    @Test func `a symbol that stands twice counts once, with a warning, and keeps its place`() {
        let (symbols, lines) = Self.unique(["B", "A", "B", "C", "B"])
        #expect(symbols == ["B", "A", "C"])
        #expect(lines.count == 2 && lines.allSatisfy { $0.contains(" warning ") && $0.contains("feed.symbol=B") })
    }

    @Test func `more symbols than the free plan has are warned of`() {
        #expect(Self.unique((1...50).map { "S\($0)" }).lines.isEmpty)
        let lines = Self.unique((1...51).map { "S\($0)" }).lines
        #expect(lines.count == 1 && lines[0].contains("feed.symbols=51 feed.plan=50"))
    }
}
