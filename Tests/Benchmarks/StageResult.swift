/// A stage's figures over all runs: medians.
struct StageResult: Encodable {
    let stage: String
    let rate: Double
    let limit: Double
    let ratio: Double
    let cpuSecondsPerMillion: Double
    /// The same of the limit, where its process does the work.
    let limitCPUSecondsPerMillion: Double?
    let peakRSSMegabytes: Double
    let runs: Int
    /// Between the slowest and the fastest run of the stage, as a share of the median.
    let spread: Double
    let broker: String

    /// Trades a CPU second as a share of the limit's.
    var cpuRatio: Double? { limitCPUSecondsPerMillion.map { $0 / cpuSecondsPerMillion } }

    enum CodingKeys: String, CodingKey {
        case stage, rate, limit, ratio, runs, spread, broker
        case cpuSecondsPerMillion = "cpu_seconds_per_million"
        case limitCPUSecondsPerMillion = "limit_cpu_seconds_per_million"
        case peakRSSMegabytes = "peak_rss_mb"
    }

    init(_ stage: String, _ measurements: [Measurement], limits: [Limit], trades: Int, broker: String) {
        let rates = measurements.map(\.rate)
        self.stage = stage
        self.broker = broker
        rate = rates.median
        limit = limits.map(\.rate).median
        ratio = rate / limit
        runs = rates.count
        spread = rates.spread
        let millions = Double(trades) / 1_000_000
        cpuSecondsPerMillion = measurements.map(\.usage.cpuSeconds).median / millions
        let limitSeconds = limits.compactMap(\.cpuSeconds)
        limitCPUSecondsPerMillion = limitSeconds.isEmpty ? nil : limitSeconds.median / millions
        peakRSSMegabytes = measurements.map(\.usage.peakMegabytes).median
    }
}

/// How long trades took over all runs, in milliseconds: medians of the runs' percentiles.
struct LatencyResult: Encodable {
    let stage: String
    let p50: Double
    let p95: Double
    let p99: Double
    let limit: Double
    /// What the way through Kafka takes with nothing behind it, to the poll: the median.
    let kafka: Double
    /// How many times the limit the median trade takes: the smaller, the better.
    let ratio: Double
    let runs: Int
    /// Between the slowest and the fastest run's median, as a share of the median.
    let spread: Double
    let broker: String

    enum CodingKeys: String, CodingKey {
        case stage, ratio, runs, spread, broker
        case p50 = "p50_ms"
        case p95 = "p95_ms"
        case p99 = "p99_ms"
        case limit = "limit_ms"
        case kafka = "kafka_ms"
    }

    init(_ stage: String, _ latencies: [Latency], limits: [Double], kafka: [Double], broker: String) {
        self.stage = stage
        self.broker = broker
        p50 = latencies.map(\.p50).median
        p95 = latencies.map(\.p95).median
        p99 = latencies.map(\.p99).median
        limit = limits.median
        self.kafka = kafka.median
        ratio = p50 / limit
        runs = latencies.count
        spread = latencies.map(\.p50).spread
    }
}

/// How long trades took until they were seen, in milliseconds, and the program's memory: medians of the runs.
struct FreshnessResult: Encodable {
    let stage: String
    let p50: Double
    let p95: Double
    let p99: Double
    let peakRSSMegabytes: Double
    let runs: Int
    /// Between the least and the greatest p99, as a share of the median.
    let spread: Double
    let broker: String

    enum CodingKeys: String, CodingKey {
        case stage, runs, spread, broker
        case p50 = "p50_ms"
        case p95 = "p95_ms"
        case p99 = "p99_ms"
        case peakRSSMegabytes = "peak_rss_mb"
    }

    @MainActor
    init(_ runs: [TradeToKPI.Freshness], broker: String) {
        stage = TradeToKPI.name
        self.broker = broker
        p50 = runs.map(\.p50).median
        p95 = runs.map(\.p95).median
        p99 = runs.map(\.p99).median
        peakRSSMegabytes = runs.map(\.peakMegabytes).median
        self.runs = runs.count
        spread = runs.map(\.p99).spread
    }
}

extension [Double] {
    fileprivate var median: Double {
        let sorted = sorted()
        let middle = count / 2
        return count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    fileprivate var spread: Double { (self.max()! - self.min()!) / median }
}
