/// A part of the pipeline that is measured, beside a limit of the same machine in the same minutes.
@MainActor
protocol Stage {
    var name: String { get }
    /// What the limit is, in a few words.
    var limitName: String { get }

    /// What has to be done once, outside of the measurement.
    func prepare() async throws
    func measureLimit() async throws -> Limit
    /// Measures the stage, and fails unless exactly the trades that went in came out.
    func measure() async throws -> Measurement
}

/// One run of a stage's limit.
struct Limit {
    /// Trades a second.
    let rate: Double
    /// What it took of processors in the client's process; nil where servers do the work.
    let cpuSeconds: Double?
}

/// One run of a stage.
struct Measurement {
    /// Trades a second.
    let rate: Double
    /// What the program used.
    let usage: MeasuredProgram.Usage
}

extension Workload {
    /// Trades a second when all took so long.
    func rate(over duration: Duration) -> Double { Double(trades) / (duration / .seconds(1)) }
}
