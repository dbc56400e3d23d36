import Foundation

/// What the caller asks for: `bench [stage …]`, with `BENCH_TRADES`, `BENCH_RUNS`, `BENCH_SYMBOLS` and
/// `BENCH_FLUSH_DELAY` in the environment.
struct BenchOptions: Sendable {
    /// Trades a run.
    var trades = 1_000_000
    /// Runs of each stage, each beside one of its limit.
    var runs = 3
    /// Symbols of the trades, 50 at least.
    var symbols = 50
    /// What a flush of the database's log takes besides what it does, in microseconds: slower disks than this machine's.
    var flushDelay = 0
    /// The stages to run; none means all.
    var stages: [String] = []

    init(arguments: [String], environment: [String: String]) throws(BenchError) {
        trades = try Self.number("BENCH_TRADES", environment) ?? trades
        runs = try Self.number("BENCH_RUNS", environment) ?? runs
        symbols = try Self.number("BENCH_SYMBOLS", environment) ?? symbols
        flushDelay = try Self.number("BENCH_FLUSH_DELAY", environment) ?? flushDelay
        stages = Array(arguments.dropFirst())
    }

    private static func number(_ name: String, _ environment: [String: String]) throws(BenchError) -> Int? {
        guard let text = environment[name], !text.isEmpty else { return nil }
        guard let number = Int(text), number > 0 else {
            throw BenchError("\(name) must be a whole number above 0, not '\(text)'")
        }
        return number
    }
}

/// The environment that the programs under measurement inherit, too.
func readEnvironment() -> [String: String] { ProcessInfo.processInfo.environment }

/// Why there is no result.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
