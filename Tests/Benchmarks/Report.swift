import Foundation

/// All results, as tables for people and as JSON for programs.
struct Report {
    private var rates: [StageResult] = []
    private var latencies: [LatencyResult] = []
    private var freshness: [FreshnessResult] = []

    mutating func add(_ result: StageResult) { rates.append(result) }
    mutating func add(_ result: LatencyResult) { latencies.append(result) }
    mutating func add(_ result: FreshnessResult) { freshness.append(result) }

    /// What goes through in a second, how long a trade takes to its commit, and to its KPI: each in a table of its own.
    var tables: String {
        [rateTable, latencyTable, freshnessTable].filter { $0.count > 1 }.map(Self.aligned).joined(separator: "\n\n")
    }

    private var rateTable: [[String]] {
        [["stage", "trades/s", "limit", "ratio", "CPU s/M", "limit", "ratio", "RSS MB", "spread", "runs", "broker"]]
            + rates.map { result in
                [
                    result.stage, Self.rate(result.rate), Self.rate(result.limit), Self.number(result.ratio, places: 2),
                    Self.number(result.cpuSecondsPerMillion, places: 2),
                    result.limitCPUSecondsPerMillion.map { Self.number($0, places: 2) } ?? "–",
                    result.cpuRatio.map { Self.number($0, places: 2) } ?? "–",
                    Self.number(result.peakRSSMegabytes, places: 0), Self.percent(result.spread), "\(result.runs)",
                    result.broker,
                ]
            }
    }

    private var latencyTable: [[String]] {
        [["stage", "p50 ms", "p95 ms", "p99 ms", "limit ms", "p50/limit", "Kafka ms", "spread", "runs", "broker"]]
            + latencies.map { result in
                [result.p50, result.p95, result.p99, result.limit, result.ratio, result.kafka].reduce(into: [
                    result.stage
                ]) {
                    $0.append(Self.number($1, places: 2))
                } + [Self.percent(result.spread), "\(result.runs)", result.broker]
            }
    }

    private var freshnessTable: [[String]] {
        [["stage", "p50 ms", "p95 ms", "p99 ms", "RSS MB", "spread", "runs", "broker"]]
            + freshness.map { result in
                [result.stage] + [result.p50, result.p95, result.p99].map { Self.number($0, places: 1) } + [
                    Self.number(result.peakRSSMegabytes, places: 0), Self.percent(result.spread), "\(result.runs)",
                    result.broker,
                ]
            }
    }

    private static func aligned(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + space : space + row[column]
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let file = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try encoder.encode(File(rates: rates, latencies: latencies, freshness: freshness)).write(to: file)
    }

    private struct File: Encodable {
        let rates: [StageResult]
        let latencies: [LatencyResult]
        let freshness: [FreshnessResult]
    }

    /// Trades a second in thousands or millions.
    static func rate(_ rate: Double) -> String {
        rate >= 1_000_000 ? number(rate / 1_000_000, places: 2) + " M" : number(rate / 1000, places: 0) + " k"
    }

    static func number(_ value: Double, places: Int) -> String { String(format: "%.\(places)f", value) }

    private static func percent(_ share: Double) -> String { number(share * 100, places: 0) + " %" }
}
