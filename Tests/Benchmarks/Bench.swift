/// Starts what the stages need, runs them, and reports.
@MainActor
struct Bench {
    private let options: BenchOptions

    init(_ options: BenchOptions) {
        self.options = options
    }

    func run() async throws {
        let machine = Machine()
        print("machine   \(machine)")
        let workload = Workload(trades: options.trades, symbols: options.symbols)
        print("workload  \(options.trades) trades a run, of \(workload.symbols.count) symbols")
        print("runs      \(options.runs) of each stage and of its limit, in turn")
        let broker = try await Broker.start()
        print("broker    \(broker.summary)")
        let database = try await Database.start(flushDelay: options.flushDelay)
        print("database  \(database.summary)")
        let filled = FilledTopic(workload, broker)
        let stages: [any Stage] = [
            FrameToTrade(workload: workload),
            FeedToTopic(workload: workload, broker: broker),
            TopicToTable(workload: workload, filled: filled, database: database),
            TopicToRollups(workload: workload, filled: filled, database: database),
        ]
        let latency = TradeToCommit(workload: workload, broker: broker, database: database)
        try checkNames(stages.map(\.name) + [TradeToCommit.name, TradeToKPI.name])
        var report = Report()
        for stage in stages where isChosen(stage.name) { report.add(try await measure(stage, broker)) }
        if isChosen(TradeToCommit.name) { report.add(try await measure(latency)) }
        if isChosen(TradeToKPI.name) { report.add(try await measureFreshness(broker, database)) }
        print("\n\(report.tables)")
        try report.write(to: ".local/bench.json")
    }

    private func isChosen(_ name: String) -> Bool { options.stages.isEmpty || options.stages.contains(name) }

    private func checkNames(_ names: [String]) throws {
        guard let unknown = options.stages.first(where: { !names.contains($0) }) else { return }
        throw BenchError("there is no stage '\(unknown)': \(names.joined(separator: ", "))")
    }

    private func measure(_ stage: any Stage, _ broker: Broker) async throws -> StageResult {
        print("\n\(stage.name), against: \(stage.limitName)")
        try await stage.prepare()
        var limits: [Limit] = []
        var measurements: [Measurement] = []
        for _ in 0..<options.runs {
            limits.append(try await stage.measureLimit())
            measurements.append(try await stage.measure())
            print("  \(Report.rate(measurements.last!.rate)) trades/s of \(Report.rate(limits.last!.rate))")
        }
        return StageResult(
            stage.name, measurements, limits: limits, trades: options.trades, broker: broker.name)
    }

    private func measureFreshness(_ broker: Broker, _ database: Database) async throws -> FreshnessResult {
        print("\n\(TradeToKPI.name)")
        let stage = TradeToKPI(trades: options.trades, broker: broker, database: database)
        var runs: [TradeToKPI.Freshness] = []
        for _ in 0..<options.runs {
            runs.append(try await stage.measure())
            let times = [runs.last!.p50, runs.last!.p99].map { Report.number($0, places: 1) }
            print("  p50 \(times[0]) ms, p99 \(times[1]) ms")
        }
        return FreshnessResult(runs, broker: broker.name)
    }

    private func measure(_ stage: TradeToCommit) async throws -> LatencyResult {
        print("\n\(TradeToCommit.name), against: \(TradeToCommit.limitName)")
        try await stage.prepare()
        var limits: [Double] = []
        var kafka: [Double] = []
        var latencies: [Latency] = []
        for _ in 0..<options.runs {
            let single = try stage.measureLimit()
            limits.append(single.time)
            kafka.append(try stage.measureKafka())
            latencies.append(try await stage.measure(flush: single.flush))
            let (row, alone) = (Report.number(single.time, places: 2), Report.number(kafka.last!, places: 2))
            print("  \(latencies.last!), a single row \(row), Kafka alone \(alone)")
        }
        return LatencyResult(TradeToCommit.name, latencies, limits: limits, kafka: kafka, broker: stage.broker.name)
    }
}
