import Foundation
import Testing

@testable import ServiceKit

@Suite(.timeLimit(.minutes(10)))
struct MetricsRegistryTests {
    /// One of everything, with what is hard to write.
    private static func sample() -> MetricsRegistry {
        let registry = MetricsRegistry()
        registry.counter("trades_ingested_total", "Trades taken in.", ["symbol": "BINANCE:BTCUSDT"]).increment(by: 3)
        let hostile = "a\\b\"c\nd\r\ne\"\u{301}}"
        registry.counter("trades_ingested_total", "Trades taken in.", ["symbol": hostile]).increment()
        registry.gauge("queue_bytes", "A back\\slash,\nand a \"second\" line.").set(-7)
        registry.reading("queue_fill_ratio", "A level.") { 0.25 }
        registry.reading("events_total", "A count kept elsewhere.", isCount: true) { 12 }
        let histogram = registry.histogram("batch_seconds", "Time of a batch.", ["topic": "trades"])
        for microseconds in [50, 100, 700, 2_000_000, 90_000_000] as [Int64] {
            histogram.observe(microseconds: microseconds)
        }
        _ = registry.histogram("commit_seconds", "Time of a commit.")
        return registry
    }

    @Test func `what is rendered is sound and complete`() throws {
        let text = try PrometheusText(Self.sample().render())
        #expect(
            text.families.mapValues(\.type) == [
                "trades_ingested_total": "counter", "queue_bytes": "gauge", "queue_fill_ratio": "gauge",
                "events_total": "counter", "batch_seconds": "histogram", "commit_seconds": "histogram",
            ])
        #expect(text.value("trades_ingested_total", ["symbol": "BINANCE:BTCUSDT"]) == 3)
        #expect(text.value("queue_bytes") == -7)
        #expect(text.value("queue_fill_ratio") == 0.25)
        #expect(text.value("events_total") == 12)
    }

    @Test func `labels and help come through their escapes`() throws {
        let rendered = Self.sample().render()
        #expect(rendered.contains("# HELP queue_bytes A back\\\\slash,\\nand a \"second\" line.\n"))
        // A carriage return has no escape in this format, and none of Prometheus' readers minds it.
        let label = "symbol=\"a\\\\b\\\"c\\nd\r\\ne\\\"\u{301}}\""
        #expect(rendered.unicodeScalars.contains(label.unicodeScalars))
    }

    @Test func `a histogram's buckets are cumulative and in seconds`() throws {
        let text = try PrometheusText(Self.sample().render())
        func count(_ bound: String) -> Double? {
            text.value("batch_seconds_bucket", ["topic": "trades", "le": bound])
        }
        #expect(count("0.0001") == 2)
        #expect(count("0.0005") == 2)
        #expect(count("0.001") == 3)
        #expect(count("1") == 3)
        #expect(count("2.5") == 4)
        #expect(count("60") == 4)
        #expect(count("+Inf") == 5)
        #expect(text.value("batch_seconds_count", ["topic": "trades"]) == 5)
        let sum = try #require(text.value("batch_seconds_sum", ["topic": "trades"]))
        #expect(abs(sum - 92.00085) < 1e-9)
        #expect(text.value("commit_seconds_bucket", ["le": "+Inf"]) == 0)
    }

    @Test func `the same name and labels give the same metric, in whatever order the labels are`() throws {
        let registry = MetricsRegistry()
        let first = registry.counter("a_total", "A.", ["x": "1", "y": "2"])
        #expect(registry.counter("a_total", "A.", ["y": "2", "x": "1"]) === first)
        #expect(registry.counter("a_total", "A.", ["x": "1", "y": "3"]) !== first)
        #expect(registry.gauge("b", "B.") === registry.gauge("b", "B."))
        #expect(registry.histogram("c_seconds", "C.") === registry.histogram("c_seconds", "C."))
        first.increment()
        let text = try PrometheusText(registry.render())
        #expect(text.value("a_total", ["x": "1", "y": "2"]) == 1)
        #expect(text.families["a_total"]?.samples.count == 2)
    }

    @Test func `HELP and TYPE come once a name, with all its samples behind them`() throws {
        let registry = MetricsRegistry()
        for symbol in ["A", "B"] {
            _ = registry.counter("a_total", "A.", ["symbol": symbol])
            _ = registry.gauge("b", "B.", ["symbol": symbol])
        }
        #expect(
            registry.render() == """
                # HELP a_total A.
                # TYPE a_total counter
                a_total{symbol="A"} 0
                a_total{symbol="B"} 0
                # HELP b B.
                # TYPE b gauge
                b{symbol="A"} 0
                b{symbol="B"} 0

                """)
        #expect(MetricsRegistry().render() == "")
    }

    @Test(arguments: [
        (Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (0, "0"), (-0.0, "0"), (3, "3"),
        (1e20, "1e+20"), (1_700_000_000.25, "1700000000.25"), (0.00001, "1e-05"),
    ])
    func `a reading is written as Prometheus writes numbers`(value: Double, written: String) throws {
        let registry = MetricsRegistry()
        registry.reading("a", "A.") { value }
        #expect(registry.render().hasSuffix("\na \(written)\n"))
        _ = try PrometheusText(registry.render())
    }

    @Test func `metrics may be made and counted while others render`() async throws {
        let registry = MetricsRegistry()
        await onThreads(6) { thread in
            for index in 0..<200 {
                if thread == 0 {
                    #expect(throws: Never.self) { try PrometheusText(registry.render()) }
                } else {
                    registry.counter("a_total", "A.", ["index": "\(index % 20)"]).increment()
                    registry.histogram("b_seconds", "B.").observe(microseconds: Int64(index))
                }
            }
        }
        let text = try PrometheusText(registry.render())
        #expect(text.families["a_total"]?.samples.map(\.value) == Array(repeating: 50, count: 20))
        #expect(text.value("b_seconds_count") == 1000)
    }

    @Test func `one name cannot have two types`() async {
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.counter("a", "A.", ["x": "1"])
            _ = registry.gauge("a", "A.", ["x": "2"])
        }
    }

    private static let promtool = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/promtool" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: promtool != nil, "promtool of Debian's package prometheus is not on the PATH"))
    func `promtool finds nothing to complain about`() throws {
        let registry = Self.sample()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.promtool))
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(registry.render().utf8))
        try input.fileHandleForWriting.close()
        let complaints = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(complaints == "")
        #expect(process.terminationStatus == 0)
    }
}
