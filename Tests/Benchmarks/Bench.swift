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
        print("workload  \(options.trades) trades a run, \(options.runs) runs of each stage and of its limit, in turn")
        let workload = Workload(trades: options.trades)
        let broker = try await Broker.start()
        print("broker    \(broker.summary)")
        let database = try await Database.start()
        print("database  a private PostgreSQL, fsync on, autovacuum off, all else by default")
        let filled = FilledTopic(workload, broker)
        let stages: [any Stage] = [
            FrameToTrade(workload: workload),
            FeedToTopic(workload: workload, broker: broker),
            TopicToTable(workload: workload, filled: filled, database: database),
            TopicToRollups(workload: workload, filled: filled, database: database),
        ]
        var report = Report(broker: broker.name)
        for stage in try chosen(of: stages) {
            report.add(try await measure(stage))
        }
        print("\n\(report.table)")
        try report.write(to: ".local/bench.json")
    }

    private func chosen(of stages: [any Stage]) throws -> [any Stage] {
        guard !options.stages.isEmpty else { return stages }
        return try options.stages.map { name in
            guard let stage = stages.first(where: { $0.name == name }) else {
                throw BenchError("there is no stage '\(name)': \(stages.map(\.name).joined(separator: ", "))")
            }
            return stage
        }
    }

    private func measure(_ stage: any Stage) async throws -> StageResult {
        print("\n\(stage.name), against: \(stage.limitName)")
        try await stage.prepare()
        var limits: [Double] = []
        var measurements: [Measurement] = []
        for _ in 0..<options.runs {
            limits.append(try await stage.measureLimit())
            measurements.append(try await stage.measure())
            print("  \(Report.rate(measurements.last!.rate)) trades/s of \(Report.rate(limits.last!))")
        }
        return StageResult(stage.name, measurements, limits: limits, trades: options.trades)
    }
}
