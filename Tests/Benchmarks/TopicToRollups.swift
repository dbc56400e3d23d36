/// The program `kpi-service` on a full topic and empty tables.
@MainActor
struct TopicToRollups: Stage {
    let workload: Workload
    let filled: FilledTopic
    let database: Database

    let name = "topic to rollups"
    let limitName = "bare librdkafka, consume"

    /// The broker's first answers cost it more than all later ones.
    func prepare() throws {
        _ = try measureLimit()
    }

    func measureLimit() throws -> Limit {
        let (time, cpuSeconds) = try BareConsumer.consume(
            filled.topic(), records: workload.trades, group: filled.newGroup())
        return Limit(rate: workload.rate(over: time), cpuSeconds: cpuSeconds)
    }

    func measure() async throws -> Measurement {
        try database.clear()
        let run = ReaderRun(
            program: "kpi-service", groupFlag: "--kpi-group", workload: workload, database: database,
            arguments: ["--alerts-topic", "off"])
        let measurement = try await run.measure(filled.topic(), group: filled.newGroup())
        for grain in ["1s", "1m", "1h"] {
            try database.expect(workload.trades, "SELECT sum(trades)::bigint FROM trade_rollup_\(grain)")
        }
        return measurement
    }
}
