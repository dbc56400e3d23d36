import Foundation

/// A stage's figures over all runs: medians.
struct StageResult: Encodable {
    let stage: String
    let rate: Double
    let limit: Double
    let ratio: Double
    let cpuSecondsPerMillion: Double
    let peakRSSMegabytes: Double
    let runs: Int
    /// Between the slowest and the fastest run of the stage, as a share of the median.
    let spread: Double
    var broker = ""

    enum CodingKeys: String, CodingKey {
        case stage, rate, limit, ratio, runs, spread, broker
        case cpuSecondsPerMillion = "cpu_seconds_per_million"
        case peakRSSMegabytes = "peak_rss_mb"
    }

    init(_ stage: String, _ measurements: [Measurement], limits: [Double], trades: Int) {
        let rates = measurements.map(\.rate)
        self.stage = stage
        rate = Self.median(rates)
        limit = Self.median(limits)
        ratio = rate / limit
        runs = rates.count
        spread = (rates.max()! - rates.min()!) / rate
        cpuSecondsPerMillion = Self.median(measurements.map(\.usage.cpuSeconds)) * 1_000_000 / Double(trades)
        peakRSSMegabytes = Self.median(measurements.map(\.usage.peakMegabytes))
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}

/// All results, as a table for people and as JSON for programs.
struct Report {
    let broker: String
    private var results: [StageResult] = []

    init(broker: String) {
        self.broker = broker
    }

    mutating func add(_ result: StageResult) {
        var result = result
        result.broker = broker
        results.append(result)
    }

    var table: String {
        let header = ["stage", "trades/s", "limit", "ratio", "CPU s/M", "RSS MB", "spread", "runs", "broker"]
        let rows = results.map { result in
            [
                result.stage, Self.rate(result.rate), Self.rate(result.limit), Self.number(result.ratio, places: 2),
                Self.number(result.cpuSecondsPerMillion, places: 2), Self.number(result.peakRSSMegabytes, places: 0),
                Self.number(result.spread * 100, places: 0) + " %", "\(result.runs)", result.broker,
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max()! }
        return ([header] + rows).map { row in
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
        try encoder.encode(results).write(to: file)
    }

    /// Trades a second in thousands or millions.
    static func rate(_ rate: Double) -> String {
        rate >= 1_000_000 ? number(rate / 1_000_000, places: 2) + " M" : number(rate / 1000, places: 0) + " k"
    }

    private static func number(_ value: Double, places: Int) -> String { String(format: "%.\(places)f", value) }
}
